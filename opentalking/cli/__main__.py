"""`python -m opentalking.cli` is `opentalking`."""

from opentalking.cli.main import main

raise SystemExit(main())

"""The embedded language model's process: `python -m workers.llm` serves it until SIGTERM."""

from __future__ import annotations

import sys

from opentalking.config import SettingsError, settings
from opentalking.llm.embedded import EmbeddedLLMError, serve


def main() -> int:
    try:
        serve(settings(), settings().llm_port)
    except (SettingsError, EmbeddedLLMError) as error:
        print(f"llm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

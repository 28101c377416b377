"""The suite itself: it knows the server by its wires alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WITHOUT_OURS = """
import importlib, sys

class Refused:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("opentalking", "shm", "workers", "api", "redis", "psutil"):
            raise ImportError(f"the suite imports {name}")

sys.meta_path.insert(0, Refused())
for name in sys.argv[1:]:
    importlib.import_module(f"tests.conformance.{name}")
"""


def test_it_can_be_loaded_where_nothing_of_ours_is_installed() -> None:
    names = sorted(file.stem for file in HERE.glob("*.py") if file.stem != "__init__")
    assert len(names) > 10
    command = [sys.executable, "-c", WITHOUT_OURS, *names]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

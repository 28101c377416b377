"""Show the logs of one process (redis, llm, api, speech-0, …, supervisord), of a kind (speech), or of all."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from opentalking.cli.plan import run_dir_of
from opentalking.config import load_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", default="", help="a process or a kind of process; default: all")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    parser.add_argument("-n", "--lines", type=int, default=40, help="lines from the end of each (default 40)")
    parser.add_argument("--run-dir", help="the run directory it was started with (OPENTALKING_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    folder = run_dir_of(load_settings()) / "logs"
    files = log_files(folder, options.name)
    if not files:
        known = ", ".join(path.stem for path in log_files(folder, "")) or "none yet"
        print(
            f"opentalking: no log of {options.name or 'any process'} in {folder}; there are: {known}", file=sys.stderr
        )
        return 1
    tail = shutil.which("tail")
    if tail is None:
        print("opentalking: the program `tail` (coreutils) is missing; the logs are in " + str(folder), file=sys.stderr)
        return 1
    follow = ["-F"] if options.follow else []  # by name, so that it survives rotation
    sys.stdout.flush()
    os.execv(tail, [tail, "-n", str(options.lines), *follow, *map(str, files)])


def log_files(folder: Path, name: str) -> list[Path]:
    """The current log of one process, of all of a kind, or (empty name) of every process."""
    return sorted(
        path for path in folder.glob("*.log") if not name or name in (path.stem, path.stem.rpartition("-")[0])
    )

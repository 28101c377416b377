"""Say what is there, what is missing and how to mend it. Exit code 1 when something is missing that stops a start."""

from __future__ import annotations

import argparse
import sys
from itertools import chain

import msgspec

from opentalking.cli.check import Check
from opentalking.cli.checks import everything
from opentalking.cli.chosen import names
from opentalking.cli.services import services
from opentalking.config import load_settings
from opentalking.environment import environ_and_file

_COLOURS = {"ok": "\033[32m", "warn": "\033[33m", "fail": "\033[31m"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--dev", action="store_true", help="also what `make test` needs")
    parser.add_argument("--run-dir", help="folder for logs, sockets and caches (OPENTALKING_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    checks = [*everything(settings, dev=options.dev), *services(settings), *names(chain(*environ_and_file()))]
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(checks), indent=2).decode())
    else:
        for check in checks:
            print(line(check, coloured=sys.stdout.isatty()))
    return 1 if any(check.level == "fail" for check in checks) else 0


def line(check: Check, coloured: bool = False) -> str:
    mark = f"{check.level:<5}"
    if coloured:
        mark = f"{_COLOURS[check.level]}{mark}\033[0m"
    mend = f"\n        mend: {check.mend}" if check.level != "ok" and check.mend else ""
    return f"{mark} {check.name:<15} {check.message}{mend}"

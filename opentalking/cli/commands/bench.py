"""Measure latencies, frame rate and CPU on this machine; the figures go to bench.json."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys

from opentalking.cli.plan import checkout


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a short run")
    parser.add_argument("--spoken", action="store_true", help="spoken turns alone")
    parser.add_argument("--output", metavar="FILE", default="bench.json", help="where the figures go (bench.json)")


def run(options: argparse.Namespace) -> int:
    root = checkout()
    module = "tests.bench" if root else "opentalking.cli.bench"
    environ = dict(os.environ)
    if root:
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), environ.get("PYTHONPATH", ""))))
    elif importlib.util.find_spec(module) is None:
        print("opentalking: this installation has no bench; run it from a checkout: make bench", file=sys.stderr)
        return 1
    sys.stdout.flush()
    arguments = [*(f"--{name}" for name in ("quick", "spoken") if getattr(options, name)), "--output", options.output]
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environ)

"""Stop what `opentalking up` started in this run directory, or clean up what a killed one left."""

from __future__ import annotations

import argparse
import sys

from opentalking.cli.instance import read_instance, stop
from opentalking.cli.plan import run_dir_of
from opentalking.config import load_settings


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run-dir", help="the run directory it was started with (OPENTALKING_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    run_dir = run_dir_of(load_settings())
    instance = read_instance(run_dir)
    if instance is None:
        print(f"nothing is running in {run_dir}")
        return 0
    print("stopping …" if instance.is_running() else "cleaning up after a run that was killed", flush=True)
    if survivors := stop(run_dir, instance):
        print(f"opentalking: could not end {survivors}", file=sys.stderr)
        return 1
    print("stopped")
    return 0

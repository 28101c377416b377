"""Entry point of `opentalking`: finds the command, and turns what can go wrong before it runs into sentences."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

import opentalking

_COMMANDS = {
    "up": "start everything and print the page's address",
    "down": "stop what `up` started here",
    "status": "show the processes and what they do",
    "logs": "show the processes' logs",
    "doctor": "say what is missing and how to mend it",
    "settings": "list every setting",
    "avatar": "make an avatar of a photo or a short video, list and delete them",
    "bench": "measure latencies, frame rate and CPU",
    "redis": "send commands to this node's Redis, like redis-cli",
    "synth-server": "serve a face of this machine to others",
}
USAGE_ERROR = 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="opentalking", description="A talking-avatar server.")
    parser.add_argument("--version", action="version", version=f"opentalking {opentalking.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, sentence in _COMMANDS.items():
        module = import_module(f"opentalking.cli.commands.{name.replace('-', '_')}")
        one = commands.add_parser(name, help=sentence, description=(module.__doc__ or sentence).strip())
        one.formatter_class = argparse.RawDescriptionHelpFormatter
        module.arguments(one)
        one.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. 2: a setting or the command line is wrong."""
    try:
        parser = _parser()
    except ImportError as error:
        package = (error.name or "?").partition(".")[0]
        print(f"opentalking: the package {package!r} is missing. Mend: pip install opentalking", file=sys.stderr)
        return USAGE_ERROR
    options = parser.parse_args(arguments)
    if getattr(options, "run_dir", None):
        os.environ["OPENTALKING_RUN_DIR"] = options.run_dir
    from opentalking.config import SettingsError

    try:
        code: int = options.run(options)
        return code
    except SettingsError as error:
        print(f"opentalking: {error}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of a pipe has gone
        return 0


if __name__ == "__main__":
    raise SystemExit(main())

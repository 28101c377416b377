"""List every setting: its value here, its default and what it means."""

from __future__ import annotations

import argparse
import re

from opentalking import addresses
from opentalking.config import PREFIX, load_settings, settings_table

_SECRET = re.compile("_(key|password|secret|token)$", re.IGNORECASE)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="as the README's table (defaults only)")


def run(options: argparse.Namespace) -> int:
    print(markdown() if options.markdown else listing())
    return 0


def markdown() -> str:
    """The README's table; the same on every machine."""
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {sentence.replace('|', chr(92) + '|')} |"
        for name, default, sentence in settings_table()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def listing() -> str:
    """Values as they are in force here; secrets are hidden."""
    current = load_settings()
    lines = []
    for name, default, sentence in settings_table():
        value = str(getattr(current, name.removeprefix(PREFIX).lower()))
        mark = " " if value == default else "*"
        lines.append(f"{mark} {name}={shown(name, value)}\n      {sentence}")
    return "\n".join([*lines, "", "* differs from the default. Set them in the environment or in .env."])


def shown(name: str, value: str) -> str:
    """A setting's value without what may be secret in it."""
    field = name.removeprefix(PREFIX).lower()
    if field == "ice_servers":
        return addresses.ice_shown(value)
    if field in addresses.SCHEMES:
        return addresses.shown(value)
    return "(hidden)" if value and _SECRET.search(field) else value

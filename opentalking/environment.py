"""Where settings come from: the process's environment, and the file `.env` (python-dotenv reads its lines)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

PREFIX = "OPENTALKING_"


class SettingsError(ValueError):
    """A setting has a value that cannot be used; the message names it."""


def env_name(field: str) -> str:
    """The variable of the setting `field`."""
    return PREFIX + field.upper()


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines as python-dotenv reads them, without putting variables in place of `${…}`.

    A missing file is empty. Raises SettingsError naming the file, and the line that is none, but not what it holds.
    """
    if not path.is_file():
        return {}
    values: dict[str, str] = {}
    for line in parse_stream(StringIO(_text_of(path), newline="")):
        if line.error or (line.key is not None and line.value is None):
            raise SettingsError(f"{path}:{_number(line)}: expected KEY=VALUE")
        if line.key is not None and line.value is not None:
            values[line.key] = line.value
    return values


def environ_and_file(environ: Mapping[str, str] | None = None) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What settings are read from: the process's environment, and `.env`, over which it goes. Raises SettingsError."""
    process = os.environ if environ is None else environ
    return process, read_env_file(Path(process.get("OPENTALKING_ENV_FILE", ".env")))


def told(names: Sequence[str], sources: Iterable[Mapping[str, str]]) -> tuple[str, str]:
    """(name, value) that holds of a setting with these names; two empty strings if no source has any.

    The first source that has one of the names decides. Of several in it, the first that is not empty counts.
    """
    for source in sources:
        there = [(name, source[name].strip()) for name in names if name in source]
        if there:
            return next((one for one in there if one[1]), there[0])
    return "", ""


def _text_of(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    if "\0" in text:  # UTF-16, which may pass for UTF-8
        raise SettingsError(f"{path} is not UTF-8; save it as UTF-8")
    return text


def _number(line: Binding) -> int:
    """Blank lines before it belong to a binding."""
    text = line.original.string
    return line.original.line + text[: len(text) - len(text.lstrip())].count("\n")

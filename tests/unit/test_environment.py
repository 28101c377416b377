"""Where settings come from: what a `.env` may hold, and what a file that cannot be read says."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import pytest

from opentalking.environment import SettingsError, read_env_file


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "my.env"


def read(env_file: Path, content: str | bytes) -> dict[str, str]:
    env_file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_env_file(env_file)


def test_the_env_file_is_read_line_by_line(env_file: Path) -> None:
    text = (
        "# a comment\n"
        "\n"
        "A=1\n"
        "  export B = two words  \n"
        "C='single # no comment'\n"
        'D="double"\n'
        "E=a=b=c\n"
        "F=\n"
        "H=naïve 你好\r\n"
        "I=it's $HOME ${A}\n"
        "A=2\n"
    )
    assert read(env_file, text) == {
        "A": "2",
        "B": "two words",
        "C": "single # no comment",
        "D": "double",
        "E": "a=b=c",
        "F": "",
        "H": "naïve 你好",
        "I": "it's $HOME ${A}",
    }


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=sk-abc # my key", "sk-abc"),
        ('K="sk-abc" # my key', "sk-abc"),
        ("K= # no key yet", ""),
        ("K=a#b", "a#b"),
        ("export\tK=sk-abc", "sk-abc"),
        (r'K="two\nlines, \"quoted\""', 'two\nlines, "quoted"'),
        (r"K='as \n it is'", r"as \n it is"),
        ('K="one\ntwo"', "one\ntwo"),
        ("K=a\u2028b\x85c\vd", "a\u2028b\x85c\vd"),
    ],
)
def test_a_value_is_what_other_readers_of_such_files_make_of_it(env_file: Path, line: str, value: str) -> None:
    assert read(env_file, f"{line}\nNEXT=1\n") == {"K": value, "NEXT": "1"}


def test_the_mark_that_windows_editors_put_in_front_belongs_to_no_name(env_file: Path) -> None:
    assert read(env_file, codecs.BOM_UTF8 + b"A=1\nB=2\n") == {"A": "1", "B": "2"}


def test_a_file_that_is_missing_is_empty(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / "none") == {}
    assert read_env_file(tmp_path) == {}


@pytest.mark.parametrize("line", ["B", "B 1", "=1", "B='open", 'B="shut"too'])
def test_a_line_that_is_no_setting_is_named_by_its_number_and_without_what_it_holds(env_file: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(str(env_file))}:3: expected KEY=VALUE$"):
        read(env_file, f"A=1\n\n{line}\n")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_a_file_of_another_encoding_is_told(env_file: Path, encoding: str) -> None:
    with pytest.raises(SettingsError, match=f"^{re.escape(str(env_file))} is not UTF-8; save it as UTF-8$"):
        read(env_file, "A=café\n".encode(encoding))


def test_a_file_that_cannot_be_read_is_told(env_file: Path) -> None:
    loop = env_file.with_name("loop")
    loop.symlink_to(loop)
    assert read_env_file(loop) == {}  # there is no such file
    with pytest.raises(SettingsError, match=r"^/proc/self/mem cannot be read: "):
        read_env_file(Path("/proc/self/mem"))

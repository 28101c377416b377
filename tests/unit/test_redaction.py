"""What is told of a failure holds no secret, not even a part of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.redaction import redacted

KEY = "sk-SECRETSECRETSECRET"


@given(st.integers(0, 300))
def test_a_secret_is_gone_wherever_the_text_is_cut(before: int) -> None:
    told = redacted("." * before + KEY + " is no key of ours", [KEY])
    assert "S" not in told and len(told) <= 200


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nothing to hide: it is 5 o'clock, a@b.c", "nothing to hide: it is 5 o'clock, a@b.c"),
        ("'https://user:hunter2pw@h:8/v1' is not one", "'https://h:8/v1' is not one"),
        ("wss://tok@h/v1", "wss://h/v1"),
        ("http://u:p@ss/w?rd@h/v1", "http://h/v1"),
        ("no https://h/v1?key=abc&model=large#top", "no https://h/v1?key=…&model=…#top"),
        ("first and first-and-second", "… and …"),
    ],
)
def test_addresses_lose_what_could_be_a_secret_and_nothing_else(text: str, told: str) -> None:
    assert redacted(text, ["", "first", "first-and-second"]) == told


def test_what_is_told_is_cut_where_it_was_asked_to_be() -> None:
    assert redacted("a" * 50, [], limit=7) == "a" * 7

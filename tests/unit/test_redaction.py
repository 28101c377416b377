"""No secret is told on, wherever a text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.redaction import redacted

KEY = "sk-SECRET-0123456789"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"bad key {KEY}.", "bad key …."),
        (f"bad key {KEY}-of-the-model.", "bad key …."),
        ("no route to http://user:hunter2pw@h/v1/chat", "no route to http://…@h/v1/chat"),
        ("wss://user:p@ss@h:1/x", "wss://…@h:1/x"),
        ("'https://api.x/v1?key=abc&voice=nova#top'", "'https://api.x/v1?key=…&voice=…#top'"),
        ("mail me@home. 1/2? a=b", "mail me@home. 1/2? a=b"),
    ],
)
def test_secrets_and_what_an_address_carries_are_left_out(text: str, told: str) -> None:
    assert redacted(text, ["", KEY, f"{KEY}-of-the-model"]) == told


def test_a_key_that_came_with_a_newline_is_found_without_it() -> None:
    assert redacted(f"Bearer {KEY}", [f"{KEY}\n"]) == "Bearer …"


@given(st.integers(0, 300), st.integers(1, 300))
def test_a_secret_across_the_cut_leaves_no_part_of_itself(before: int, limit: int) -> None:
    told = redacted("." * before + KEY + "." * 300, [KEY], limit)
    assert len(told) == limit and set(told) <= {".", "…"}

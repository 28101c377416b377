"""What was heard of a turn whose speech process died, from its events and the playout's cursor."""

from __future__ import annotations

from typing import Any

from opentalking.store import Event
from shm import Cursor
from workers.lost import LostTurn, lost_turn


def event(name: str, **data: Any) -> Event:
    return Event("1-0", name, data)


TOLD = [
    event("speech.started", generation=6, text="Before?", kind="chat"),
    event("subtitle.chunk", generation=6, text="Of the turn before.", fragment=0, duration_ms=1000),
    event("speech.started", generation=7, text="Who are you?", kind="chat"),
    event("subtitle.chunk", generation=7, text="One two.", fragment=0, duration_ms=1000),
    event("subtitle.chunk", generation=7, text="Three four.", fragment=1, duration_ms=1000),
]


def test_what_sounded_before_the_cursor_was_heard() -> None:
    assert lost_turn(7, TOLD, Cursor(7, 1, 24_000)) == LostTurn(7, "One two. Three", "Who are you?")


def test_a_turn_that_never_sounded_was_not_heard() -> None:
    assert lost_turn(7, TOLD[:3], Cursor(6, 0, 48_000)) == LostTurn(7, "", "Who are you?")


def test_a_sentence_that_was_only_synthesised_is_not_known() -> None:
    assert lost_turn(7, TOLD, Cursor(7, 2, 24_000)).heard == "One two. Three four."


def test_a_text_that_was_only_to_be_said_was_not_asked() -> None:
    told = [event("speech.started", generation=7, text="Hello.", kind="speak")]
    assert lost_turn(7, told, Cursor(0, 0, 0)) == LostTurn(7, "", None)

"""What is known of a turn whose speech process died in it: its events tell what was said, the cursor what was heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from opentalking.llm.heard import SpokenFragment, heard_of_turn
from opentalking.store import Event
from opentalking.types import PLAYBACK_RATE
from shm import Cursor


@dataclass(frozen=True, slots=True)
class LostTurn:
    """`asked` is the prompt of a chat; a text that was only to be said has none."""

    generation: int
    heard: str
    asked: str | None


def lost_turn(generation: int, events: Iterable[Event], cursor: Cursor) -> LostTurn:
    """Fragments were told as they began to sound (`subtitle.chunk`), so those that were heard are all there."""
    fragments: list[SpokenFragment] = []
    asked = None
    for event in events:
        if event.data.get("generation") != generation:
            continue
        if event.event == "speech.started" and event.data.get("kind") == "chat":
            asked = str(event.data.get("text", ""))
        elif event.event == "subtitle.chunk" and event.data.get("fragment") == len(fragments):
            length_ms = event.data.get("duration_ms")
            samples = 0 if length_ms is None else int(length_ms) * PLAYBACK_RATE // 1000
            fragments.append(SpokenFragment(str(event.data.get("text", "")), samples, complete=length_ms is not None))
    heard = heard_of_turn(fragments, cursor.fragment, cursor.sample) if cursor.generation == generation else ""
    return LostTurn(generation, heard, asked)

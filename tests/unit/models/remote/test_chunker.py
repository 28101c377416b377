"""Sound by 40 ms becomes messages of the server's size, and none of it is lost."""

from __future__ import annotations

import numpy as np
import pytest

from opentalking.models.remote.chunker import Chunker, Message
from opentalking.types import MODEL_SAMPLES, Int16


def sound(slots: int) -> list[Int16]:
    """Samples that tell their place."""
    counting = np.arange(1, slots * MODEL_SAMPLES + 1) % 32_749
    return list(counting.astype(np.int16).reshape(slots, MODEL_SAMPLES))


def taken(chunker: Chunker, size: int, partial: bool = False, idle: bool = False) -> list[Message]:
    found = []
    while (message := chunker.take(size, partial, idle)) is not None:
        found.append(message)
    return found


@pytest.mark.parametrize("size", [640, 5120, 14_933, 17_920])
@pytest.mark.parametrize("slots", [1, 8, 23, 56])
def test_a_strict_server_gets_whole_messages_and_every_sample(size: int, slots: int) -> None:
    chunker, parts = Chunker(), sound(slots)
    messages = []
    for part in parts:
        chunker.hear(1, part)
        messages += taken(chunker, size)
    chunker.end(1)
    messages += taken(chunker, size)
    assert {len(message.pcm) for message in messages if message.real} == {size}
    spoken = np.concatenate([message.pcm[: message.real] for message in messages])
    assert np.array_equal(spoken, np.concatenate(parts))
    assert [message.last for message in messages] == [False] * (len(messages) - 1) + [True]


def test_the_last_message_is_filled_up_with_silence() -> None:
    chunker = Chunker()
    for part in sound(3):
        chunker.hear(1, part)
    chunker.end(1)
    (message,) = taken(chunker, 5120)
    assert message.real == 3 * MODEL_SAMPLES
    assert not message.pcm[message.real :].any()


def test_a_server_that_takes_parts_gets_them_only_while_it_is_idle() -> None:
    chunker = Chunker()
    chunker.hear(1, sound(1)[0])
    assert taken(chunker, 5120, partial=True, idle=False) == []
    assert [message.real for message in taken(chunker, 5120, partial=True, idle=True)] == [MODEL_SAMPLES]


def test_turns_are_never_in_one_message() -> None:
    chunker = Chunker()
    for turn in (1, 2):
        for part in sound(2):
            chunker.hear(turn, part)
        chunker.end(turn)
    messages = taken(chunker, 17_920)
    assert [(message.turn, message.real, message.last) for message in messages] == [(1, 1280, True), (2, 1280, True)]
    assert chunker.turns == []

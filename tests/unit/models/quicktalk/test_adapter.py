"""What quicktalk alone does; what every adapter must do is in tests/unit/models/test_conformance.py."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from opentalking.models.adapter import ModelError
from opentalking.models.quicktalk.adapter import Heard, QuickTalkAdapter, QuickTalkAvatar, QuickTalkStream
from opentalking.types import AudioChunk, UInt8, i420_shape
from tests.unit.models.portrait.speech import speak

SENTENCE = "My father bought a big boat. Wow!"


def turn(adapter: QuickTalkAdapter, stream: QuickTalkStream, chunks: list[AudioChunk]) -> list[Heard]:
    heard: list[Heard] = []
    for chunk in [*chunks, None]:
        heard += adapter.infer(adapter.extract_features(chunk, stream), stream)
    return heard


def drawn(
    adapter: QuickTalkAdapter, stream: QuickTalkStream, frames: list[Heard], avatar: QuickTalkAvatar
) -> list[UInt8]:
    pictures = [np.empty(i420_shape(avatar.width, avatar.height), np.uint8) for _ in frames]
    for pose, (heard, out) in enumerate(zip(frames, pictures, strict=True)):
        adapter.compose_frame(stream, pose, heard, out)
    return pictures


def test_each_frame_hears_ten_vectors_from_its_own_time_on(
    adapter: QuickTalkAdapter, presenter: QuickTalkAvatar
) -> None:
    heard = turn(adapter, adapter.open_stream(presenter), speak(SENTENCE).chunks())
    assert all(frame.vectors.shape == (10, 1024) for frame in heard)
    for one, other in pairwise(heard):
        np.testing.assert_array_equal(one.vectors[2:], other.vectors[:-2])


def test_the_networks_memory_lasts_for_the_turn_and_not_beyond(
    adapter: QuickTalkAdapter, presenter: QuickTalkAvatar
) -> None:
    stream, chunks = adapter.open_stream(presenter), speak(SENTENCE).chunks()
    first = drawn(adapter, stream, turn(adapter, stream, chunks), presenter)
    again = drawn(adapter, stream, turn(adapter, stream, chunks), presenter)
    np.testing.assert_array_equal(first, again)
    frames = turn(adapter, stream, chunks)
    without = adapter.open_stream(presenter)
    later = drawn(adapter, without, frames[10:11], presenter)[0]
    assert not np.array_equal(later, first[10])


def test_a_frame_drawn_twice_is_the_same(adapter: QuickTalkAdapter, presenter: QuickTalkAvatar) -> None:
    stream, chunks = adapter.open_stream(presenter), speak(SENTENCE).chunks()
    frames = turn(adapter, stream, chunks)
    once = drawn(adapter, stream, frames, presenter)
    twice = drawn(adapter, stream, [frame for frame in frames for _ in range(2)], presenter)
    np.testing.assert_array_equal(once, twice[1::2])


def test_a_turn_sets_in_and_ends_softly(adapter: QuickTalkAdapter, presenter: QuickTalkAvatar) -> None:
    shares = [frame.share for frame in turn(adapter, adapter.open_stream(presenter), speak(SENTENCE).chunks())]
    assert shares[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert shares[-4:] == pytest.approx([1, 0.75, 0.5, 0.25])


def test_an_idle_clip_of_another_avatar_is_refused(adapter: QuickTalkAdapter, presenter: QuickTalkAvatar) -> None:
    with pytest.raises(ValueError, match="is not 50 frames of this avatar"):
        adapter.use_idle_clip(presenter, np.zeros((3, 768, 512), np.uint8))


def test_an_adapter_that_was_not_loaded_says_so(presenter: QuickTalkAvatar) -> None:
    with pytest.raises(ModelError, match="call load_model first"):
        QuickTalkAdapter().open_stream(presenter)

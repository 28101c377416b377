"""Every 40 ms get exactly one picture, the one of their middle, at any frame rate of the server."""

from __future__ import annotations

import pytest

from opentalking.models.remote.timeline import Timeline
from opentalking.models.remote.wire import EXTENSIONS, Geometry, WireError
from opentalking.types import MODEL_RATE, MODEL_SAMPLES


def geometry(slices: int, fps: int, partial: bool = False) -> Geometry:
    extensions = EXTENSIONS if partial else frozenset[str]()
    return Geometry(slice_len=slices, fps=fps, width=64, height=64, extensions=extensions)


def strict_turn(slices: int, fps: int, slots: int) -> list[float]:
    """A whole turn from a strict server; each picture is the second at which the server meant it to begin."""
    shape = geometry(slices, fps)
    timeline: Timeline[float] = Timeline(shape)
    left, begin, shown = slots * MODEL_SAMPLES, 0, list[float]()
    while left:
        real = min(left, shape.chunk_samples)
        left -= real
        pictures = [begin / MODEL_RATE + index / fps for index in range(slices)]
        shown += timeline.add(pictures, real, shape.chunk_samples, not left)
        begin += shape.chunk_samples
    return shown


@pytest.mark.parametrize(("slices", "fps"), [(28, 25), (28, 30), (25, 25), (8, 25), (12, 12), (60, 60)])
@pytest.mark.parametrize("slots", [1, 7, 28, 100])
def test_as_many_pictures_as_slots_each_of_its_middle(slices: int, fps: int, slots: int) -> None:
    shown = strict_turn(slices, fps, slots)
    assert len(shown) == slots
    for slot, begins in enumerate(shown):
        middle = (slot + 0.5) / 25
        assert begins <= middle + 1e-3 < begins + 1 / fps + 2e-3


def test_at_our_own_rate_pictures_are_the_slots() -> None:
    assert strict_turn(28, 25, 56) == pytest.approx([index / 25 for index in range(56)])


def test_a_server_that_answers_late_is_counted_from_the_turns_start() -> None:
    timeline: Timeline[int] = Timeline(geometry(8, 25, partial=True))
    assert timeline.add([], 640, 640, False) == []
    assert timeline.add([0, 1], 4 * 640, 4 * 640, False) == [0, 1]
    assert timeline.add([2, 3, 4], 0, 0, True) == [2, 3, 4]


def test_what_a_server_leaves_out_at_the_end_is_shown_by_its_last_picture() -> None:
    timeline: Timeline[int] = Timeline(geometry(8, 25, partial=True))
    assert timeline.add([0, 1, 2], 5 * 640, 5 * 640, False) == [0, 1, 2]
    assert timeline.add([], 0, 0, True) == [2, 2]


def test_pictures_beyond_the_sound_are_left_out() -> None:
    timeline: Timeline[int] = Timeline(geometry(8, 25, partial=True))
    assert timeline.add([0, 1, 2, 3], 2 * 640, 2 * 640, False) == [0, 1]
    assert timeline.add([4], 0, 0, True) == []


def test_a_strict_server_without_pictures_has_none_to_repeat() -> None:
    timeline: Timeline[int] = Timeline(geometry(8, 25))
    with pytest.raises(WireError, match="an answer without a picture"):
        timeline.add([], 5120, 5120, False)

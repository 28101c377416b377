"""How fast a model is, told from a model whose time is set by the test."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from opentalking.models.adapter import BatchingAdapter, ModelAdapter, ModelError
from opentalking.models.pace import Pace, measure_pace, sessions_within
from opentalking.types import AudioChunk
from tests.support.mirror import MirrorAdapter, MirrorAvatar


class Clock:
    """A model's time, which passes only where the model says that it works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


class Slow(MirrorAdapter):
    """Takes `first_ms` once and then `frame_ms` a frame."""

    def __init__(self, clock: Clock, frame_ms: float, first_ms: float = 0.0) -> None:
        self.clock, self.frame_ms, self.first_ms = clock, frame_ms, first_ms

    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        self.clock.now += (self.frame_ms + self.first_ms) / 1000
        self.first_ms = 0.0
        return super().infer(features, stream)


class Batching(Slow):
    """Of which a batch takes `pass_ms` and `frame_ms` more for each stream."""

    max_batch = 4
    pass_ms = 6.0

    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        self.clock.now += self.pass_ms / 1000
        return super().infer(features, stream)

    def infer_batch(self, work: Sequence[tuple[Any, Any]]) -> list[list[Any]]:
        self.clock.now += self.pass_ms / 1000
        return [super(Batching, self).infer(*one) for one in work]


class InChunks(Slow):
    """Draws the frames of three chunks with the third."""

    chunk_ms = 120

    def __init__(self, clock: Clock, frame_ms: float) -> None:
        super().__init__(clock, frame_ms)
        self.heard = 0

    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        self.heard += 1
        predictions = super().infer(features, stream)
        return predictions * 3 if self.heard % 3 == 0 else []


class Mute(MirrorAdapter):
    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        return []


AVATAR = MirrorAvatar(64, 64)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_what_only_the_first_frame_takes_does_not_count(clock: Clock) -> None:
    pace = measure_pace(Slow(clock, frame_ms=9.0, first_ms=3000), AVATAR)
    assert (round(pace.frame_ms, 6), pace.sessions, pace.holds) == (9.0, 4, True)


def test_a_model_that_takes_longer_than_a_frame_lasts_does_not_hold(clock: Clock) -> None:
    pace = measure_pace(Slow(clock, frame_ms=98.0), AVATAR)
    assert (round(pace.frame_ms, 6), pace.sessions, pace.holds) == (98.0, 0, False)


def test_a_model_that_works_in_chunks_is_measured_over_all_of_a_chunk(clock: Clock) -> None:
    assert round(measure_pace(InChunks(clock, frame_ms=5.0), AVATAR).frame_ms, 6) == 5.0


def test_a_batch_shares_what_a_pass_costs(clock: Clock) -> None:
    adapter = Batching(clock, frame_ms=1.9)
    assert isinstance(adapter, BatchingAdapter)
    pace = measure_pace(adapter, AVATAR)
    # 7.9 ms alone, 13.6 ms four together: two batches of four take 27.2 of 36 ms, which leaves room for one
    assert (round(pace.frame_ms, 6), round(pace.batched_ms, 6), pace.sessions) == (7.9, 3.4, 9)


def test_a_model_that_draws_nothing_is_said_to_be_broken() -> None:
    with pytest.raises(ModelError, match="mirror drew no frame"):
        measure_pace(Mute(), AVATAR)


def test_the_packaged_face_is_measured_as_it_is(tmp_path: Path) -> None:
    from opentalking.avatars.bundle import PACKAGED
    from opentalking.models.portrait.adapter import PortraitAdapter

    adapter = PortraitAdapter(cache_dir=tmp_path)
    adapter.load_model("cpu")
    assert isinstance(adapter, ModelAdapter)
    pace = measure_pace(adapter, adapter.load_avatar(PACKAGED / "presenter"))
    assert pace == Pace(pace.frame_ms, pace.frame_ms, int(36 / pace.frame_ms)) and pace.frame_ms > 0


@pytest.mark.parametrize(
    ("alone_ms", "together_ms", "sessions"),
    [(30, 45, 2), (30, 60, 1), (35, 200, 1), (39, 50, 1), (41, 50, 0), (10, 30, 4), (4, 4, 36)],
)
def test_sessions_that_fit_follow_from_a_batch_of_one_and_a_full_one(
    alone_ms: float, together_ms: float, sessions: int
) -> None:
    assert sessions_within(36.0, alone_ms, together_ms, size=4) == sessions

"""How fast a model is, told from a model whose time is set by the test."""

from __future__ import annotations

import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.models.adapter import AvatarState, BatchingAdapter, ModelAdapter, ModelError
from opentalking.models.pace import Pace, measure_pace, sessions_within, voice
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16, UInt8, i420_shape
from tests.support.mirror import MirrorAdapter, MirrorAvatar
from tests.support.spoken import RECORDINGS


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


class Moving:
    """The packaged face, whose frames take the clock's time: `MOVING_MS` if its mouth is drawn, `STILL_MS` if not."""

    MOVING_MS, STILL_MS = 2.0, 0.2

    def __init__(self, inner: ModelAdapter, clock: Clock) -> None:
        self._inner, self._clock = inner, clock
        self.moved = list[bool]()

    def compose_frame(self, stream: Any, pose: int, prediction: Any, out: UInt8) -> None:
        self.moved.append(bool(prediction.any()))
        self._clock.now += (self.MOVING_MS if self.moved[-1] else self.STILL_MS) / 1000
        self._inner.compose_frame(stream, pose, prediction, out)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def recorded() -> Int16:
    """A person's speech in chunks, (n, 640)."""
    with wave.open(str(RECORDINGS / "sense_and_sensibility_0870.wav")) as recording:
        pcm = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    return pcm[: len(pcm) // MODEL_SAMPLES * MODEL_SAMPLES].reshape(-1, MODEL_SAMPLES)


def packaged_face(cache_dir: Path, clip: bool) -> tuple[ModelAdapter, AvatarState]:
    """The portrait and its default avatar, with its idle clip or without."""
    adapter = PortraitAdapter(cache_dir=cache_dir)
    adapter.load_model("cpu")
    avatar = adapter.load_avatar(PACKAGED / "presenter")
    if clip:
        frames = np.empty((avatar.idle_frames, *i420_shape(avatar.width, avatar.height)), np.uint8)
        for pose, frame in enumerate(frames):
            adapter.idle_frame(avatar, pose, frame)
        adapter.use_idle_clip(avatar, frames)
    return adapter, avatar


@pytest.mark.parametrize("clip", [False, True])
def test_what_is_measured_of_the_packaged_face_is_its_mouth_moving(tmp_path: Path, clock: Clock, clip: bool) -> None:
    adapter, avatar = packaged_face(tmp_path, clip)
    moving = Moving(adapter, clock)
    pace = measure_pace(moving, avatar)  # type: ignore[arg-type]
    assert (round(pace.frame_ms, 6), pace.sessions) == (moving.MOVING_MS, 18)
    assert sum(moving.moved) > 0.8 * len(moving.moved) > 10


@pytest.mark.parametrize("clip", [False, True])
def test_the_figure_of_the_packaged_face_is_that_of_a_spoken_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: bool
) -> None:
    adapter, avatar = packaged_face(tmp_path, clip)
    monkeypatch.setattr(time, "perf_counter", time.thread_time)  # what others do meanwhile is not the model's
    stream, out, spent = adapter.open_stream(avatar), np.empty(i420_shape(avatar.width, avatar.height), np.uint8), []
    for pose, pcm in enumerate(recorded()[:100]):
        began = time.perf_counter()
        for mouth in adapter.infer(adapter.extract_features(AudioChunk(pcm, MODEL_RATE), stream), stream):
            adapter.compose_frame(stream, pose, mouth, out)
        spent.append(time.perf_counter() - began)
    assert 0.4 < measure_pace(adapter, avatar).frame_ms / (1000 * float(np.median(spent))) < 2


def test_a_mouth_that_vowels_do_not_move_is_measured_all_the_same(clock: Clock) -> None:
    class Still(Slow):
        def compose_frame(self, stream: MirrorAvatar, pose: int, prediction: Any, out: UInt8) -> None:
            self.idle_frame(stream, pose, out)

    assert round(measure_pace(Still(clock, frame_ms=9.0), AVATAR).frame_ms, 6) == 9.0


def test_the_voice_is_as_long_and_as_loud_as_speech_and_the_same_each_time() -> None:
    chunks = voice(30)
    assert [len(chunk.data) for chunk in chunks] == [MODEL_SAMPLES] * 30
    assert all(6_000 < np.abs(chunk.data.astype(int)).max() <= 12_000 for chunk in chunks)
    assert all(np.array_equal(one.data, other.data) for one, other in zip(chunks, voice(30), strict=True))


class Drawing(Slow):
    """Takes `frame_ms` to hear and 5 ns a pixel to draw."""

    def compose_frame(self, stream: MirrorAvatar, pose: int, prediction: Any, out: UInt8) -> None:
        self.clock.now += stream.width * stream.height * 5e-9
        super().compose_frame(stream, pose, prediction, out)


def test_what_a_larger_picture_takes_follows_from_what_drawing_took(clock: Clock) -> None:
    adapter = Drawing(clock, frame_ms=5.0)
    small, large = MirrorAvatar(512, 512), MirrorAvatar(2048, 1024)
    pace = measure_pace(adapter, small)
    assert round(pace.frame_ms_at(large.width, large.height), 6) == round(measure_pace(adapter, large).frame_ms, 6)
    assert (pace.holds_at(2048, 2048), pace.holds_at(4096, 4096), pace.holds_at(64, 64)) == (True, False, True)


def test_what_is_no_larger_than_what_was_measured_is_not_doubted() -> None:
    pace = Pace(frame_ms=41.0, batched_ms=41.0, sessions=1, drawing_ms=41.0, pixels=512 * 512)
    assert (pace.holds_at(512, 512), pace.holds_at(514, 512)) == (True, False)


@pytest.mark.parametrize(
    ("alone_ms", "together_ms", "sessions"),
    [(30, 45, 2), (30, 60, 1), (35, 200, 1), (39, 50, 1), (41, 50, 0), (10, 30, 4), (4, 4, 36)],
)
def test_sessions_that_fit_follow_from_a_batch_of_one_and_a_full_one(
    alone_ms: float, together_ms: float, sessions: int
) -> None:
    assert sessions_within(36.0, alone_ms, together_ms, size=4) == sessions

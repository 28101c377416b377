"""How fast a model is on this device, measured before it is offered: a face that cannot keep up only stutters.

    one session      ms a frame, alone                         must be at most the 40 ms that a frame lasts
    many sessions    a pass over n chunks takes a + b * n ms   how many fit into 40 ms, with a tenth to spare

What it hears are vowels, and a pass counts only if each of its pictures differs from the idle one: with an idle clip a
mouth at rest is drawn in a tenth of the time. The least of a few passes counts: on a busy machine that is nearest to
what the model itself takes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opentalking.models.adapter import AvatarState, BatchingAdapter, ModelAdapter, ModelError
from opentalking.types import FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, i420_shape

_PASSES = 5  # at most, each long enough for a frame
_ENOUGH_S = 1.0  # of measuring
_SHARE = 0.9  # of a frame's time that sessions together may fill

_FORMANTS_HZ = ((700, 1200), (300, 2300), (350, 800))  # ah, ee, oo
_FORMANT_WIDTH_HZ = 90
_PITCH_HZ = 125
_VOWEL_SAMPLES = 3 * MODEL_SAMPLES
_LOUDEST = 12_000


@dataclass(frozen=True, slots=True)
class Pace:
    """What a frame takes, in ms of this device; `sessions` is how many it can serve at once."""

    frame_ms: float
    batched_ms: float  # a frame of a full batch; `frame_ms` for a model that does not batch
    sessions: int
    drawing_ms: float  # of `frame_ms`, what grows with the picture
    pixels: int  # of the picture that was measured

    @property
    def holds(self) -> bool:
        return self.frame_ms <= FRAME_MS

    def frame_ms_at(self, width: int, height: int) -> float:
        """What a frame of that size takes, by its pixels."""
        return self.frame_ms + self.drawing_ms * (width * height / self.pixels - 1)

    def holds_at(self, width: int, height: int) -> bool:
        """Whether frames of that size are drawn in time. What is no larger than what was measured is not asked."""
        return width * height <= self.pixels or self.frame_ms_at(width, height) <= FRAME_MS


def measure_pace(adapter: ModelAdapter, avatar: AvatarState) -> Pace:
    """Draw a few spoken frames: alone, and for a model that batches, as many streams as it takes together."""
    alone, drawing = _least_ms(adapter, avatar, 1)
    pixels = avatar.width * avatar.height
    if alone > FRAME_MS or not isinstance(adapter, BatchingAdapter) or adapter.max_batch == 1:
        return Pace(alone, alone, int(_SHARE * FRAME_MS / alone), drawing, pixels)
    size = adapter.max_batch
    together, _ = _least_ms(adapter, avatar, size)
    sessions = sessions_within(_SHARE * FRAME_MS, alone, together, size)
    return Pace(alone, together / size, sessions, drawing, pixels)


def sessions_within(budget_ms: float, alone_ms: float, together_ms: float, size: int) -> int:
    """How many sessions fit, if a pass over one takes `alone_ms` and one over `size` takes `together_ms`.

    Within a batch the time grows by a straight line; beyond, whole batches follow each other."""
    if together_ms <= budget_ms:
        batches = int(budget_ms / together_ms)
        return batches * size + _within_line(budget_ms - batches * together_ms, alone_ms, together_ms, size)
    return max(1, _within_line(budget_ms, alone_ms, together_ms, size)) if alone_ms <= FRAME_MS else 0


def _within_line(budget_ms: float, alone_ms: float, together_ms: float, size: int) -> int:
    if budget_ms < alone_ms:
        return 0
    each = max((together_ms - alone_ms) / (size - 1), 1e-6)
    return min(size, 1 + int((budget_ms - alone_ms) / each))


def _least_ms(adapter: ModelAdapter, avatar: AvatarState, count: int) -> tuple[float, float]:
    """The least that a frame of each of `count` streams took together, and what of it was drawing; ms.

    Raises ModelError if none is drawn."""
    streams = [adapter.open_stream(avatar) for _ in range(count)]
    passes, since, measured_s, pose = list[_Pass](), _Pass(), 0.0, 0
    chunks = voice(_PASSES * (1 + (adapter.chunk_ms + adapter.lookahead_ms) // FRAME_MS))
    for chunk in chunks:
        since = since.and_then(_pass(adapter, streams, chunk, avatar, pose))
        if since.frames:
            pose += since.frames // count
            passes.append(since)
            measured_s, since = measured_s + since.seconds, _Pass()
        if len(passes) > 1 and measured_s - passes[0].seconds > _ENOUGH_S:
            break
    for stream in streams:
        adapter.reset(stream)
    warm = passes[1:]  # the first pays for what is made at first use
    if not warm:
        raise ModelError(f"the model {adapter.model_type} drew no frame of what it was given")
    spoken = [one for one in warm if one.moved == one.frames] or warm  # or of one that vowels do not move
    least = min(spoken, key=lambda one: one.seconds / one.frames)
    frame_ms = 1000 * count / least.frames
    return least.seconds * frame_ms, least.drawing * frame_ms


@dataclass(frozen=True, slots=True)
class _Pass:
    """`frames` of all streams together, in `seconds`, `drawing` among them; `moved`: were not the idle picture."""

    frames: int = 0
    moved: int = 0
    seconds: float = 0.0
    drawing: float = 0.0  # seconds

    def and_then(self, other: _Pass) -> _Pass:
        frames, moved = self.frames + other.frames, self.moved + other.moved
        return _Pass(frames, moved, self.seconds + other.seconds, self.drawing + other.drawing)


def _pass(adapter: ModelAdapter, streams: Sequence[Any], chunk: AudioChunk, avatar: AvatarState, pose: int) -> _Pass:
    """One chunk for each stream, drawn at `pose` and on."""
    out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
    idle = np.empty_like(out)
    began = time.perf_counter()
    work = [(adapter.extract_features(chunk, stream), stream) for stream in streams]
    if len(work) > 1 and isinstance(adapter, BatchingAdapter):
        found = adapter.infer_batch(work)
    else:
        found = [adapter.infer(features, stream) for features, stream in work]
    heard, drawing, moved = time.perf_counter() - began, 0.0, 0
    for stream, predictions in zip(streams, found, strict=True):
        for number, prediction in enumerate(predictions):
            at = (pose + number) % avatar.idle_frames
            began = time.perf_counter()
            adapter.compose_frame(stream, at, prediction, out)
            drawing += time.perf_counter() - began
            adapter.idle_frame(avatar, at, idle)
            moved += not np.array_equal(out, idle)
    return _Pass(sum(map(len, found)), moved, heard + drawing, drawing)


def voice(chunks: int) -> list[AudioChunk]:
    """So many chunks of vowels that follow one another without a pause, each held for three."""
    samples = np.arange(chunks * MODEL_SAMPLES)
    formants = np.array(_FORMANTS_HZ)[samples // _VOWEL_SAMPLES % len(_FORMANTS_HZ)]  # (samples, 2)
    pcm = np.zeros(len(samples))
    for hertz in range(_PITCH_HZ, MODEL_RATE // 4, _PITCH_HZ):
        level = (1 / (1 + ((hertz - formants) / _FORMANT_WIDTH_HZ) ** 2)).sum(1)
        pcm += level * np.sin(2 * np.pi * hertz / MODEL_RATE * samples)
    pcm *= _LOUDEST / np.abs(pcm).max()
    return [AudioChunk(part, MODEL_RATE) for part in pcm.astype(np.int16).reshape(chunks, MODEL_SAMPLES)]

"""How fast a model is on this device, measured before it is offered: a face that cannot keep up only stutters.

    one session      ms a frame, alone                         must be at most the 40 ms that a frame lasts
    many sessions    a pass over n chunks takes a + b * n ms   how many fit into 40 ms, with a tenth to spare

The least of a few passes counts: on a busy machine that is nearest to what the model itself takes.
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


@dataclass(frozen=True, slots=True)
class Pace:
    """What a frame takes, in ms of this device; `sessions` is how many it can serve at once."""

    frame_ms: float
    batched_ms: float  # a frame of a full batch; `frame_ms` for a model that does not batch
    sessions: int

    @property
    def holds(self) -> bool:
        return self.frame_ms <= FRAME_MS


def measure_pace(adapter: ModelAdapter, avatar: AvatarState) -> Pace:
    """Draw a few frames of noise: alone, and for a model that batches, as many streams as it takes together."""
    alone = _least_ms(adapter, avatar, 1)
    if alone > FRAME_MS or not isinstance(adapter, BatchingAdapter) or adapter.max_batch == 1:
        return Pace(alone, alone, int(_SHARE * FRAME_MS / alone))
    size = adapter.max_batch
    together = _least_ms(adapter, avatar, size)
    return Pace(alone, together / size, sessions_within(_SHARE * FRAME_MS, alone, together, size))


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


def _least_ms(adapter: ModelAdapter, avatar: AvatarState, count: int) -> float:
    """The least that a frame of each of `count` streams took together, ms. Raises ModelError if none is drawn."""
    streams = [adapter.open_stream(avatar) for _ in range(count)]
    out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
    rng = np.random.default_rng(0)
    least, warm, since_frame_s, measured_s, pose = float("inf"), False, 0.0, 0.0, 0
    for _ in range(_PASSES * (1 + (adapter.chunk_ms + adapter.lookahead_ms) // FRAME_MS)):
        chunk = AudioChunk(rng.integers(-8000, 8000, MODEL_SAMPLES, np.int16), MODEL_RATE)
        began = time.perf_counter()
        frames = _pass(adapter, streams, chunk, (pose, avatar.idle_frames), out)
        pose += frames // count
        since_frame_s += time.perf_counter() - began
        if not frames:
            continue
        if warm:  # the first pass pays for what is made at first use
            least, measured_s = min(least, since_frame_s * 1000 * count / frames), measured_s + since_frame_s
        if warm and measured_s > _ENOUGH_S:
            break
        warm, since_frame_s = True, 0.0
    for stream in streams:
        adapter.reset(stream)
    if least == float("inf"):
        raise ModelError(f"the model {adapter.model_type} drew no frame of what it was given")
    return least


def _pass(adapter: ModelAdapter, streams: Sequence[Any], chunk: AudioChunk, at: tuple[int, int], out: Any) -> int:
    """One chunk for each stream, drawn at (pose, of the idle loop's poses) and on; how many frames were drawn."""
    pose, idle_frames = at
    work = [(adapter.extract_features(chunk, stream), stream) for stream in streams]
    if len(work) > 1 and isinstance(adapter, BatchingAdapter):
        found = adapter.infer_batch(work)
    else:
        found = [adapter.infer(features, stream) for features, stream in work]
    for stream, predictions in zip(streams, found, strict=True):
        for number, prediction in enumerate(predictions):
            adapter.compose_frame(stream, (pose + number) % idle_frames, prediction, out)
    return sum(map(len, found))

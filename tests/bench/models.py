"""What a face costs on this device: ms a frame and sessions, each stream in a pass of its own and several in one pass.

    python -m tests.bench.models                                the CPU face
    python -m tests.bench.models --model wav2lip --random 96    random weights, which are as slow as real ones
    python -m tests.bench.models --model wav2lip --checkpoint wav2lip256.pth --device cuda:0

A frame is everything that the inference process does for it: features, the network, drawing into I420. Streams hear
recorded speech, each from another place on. Figures are medians. CPU is the time that cores worked for a frame, all
threads together: for one thread on a busy machine, what a quiet one would take. Sessions are those whose frames fill
nine tenths of 40 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import settings
from opentalking.models.adapter import AvatarState, BatchingAdapter, ModelAdapter
from opentalking.models.device import choose_device
from opentalking.models.registry import create_adapter
from opentalking.types import FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16, i420_shape
from tests.support.spoken import RECORDINGS

_SHARE = 0.9  # of 40 ms
_ENOUGH_S = 4.0  # of measuring one figure
_FEWEST = 3  # passes
_APART = 37  # chunks between what one stream hears and the next


@dataclass(frozen=True, slots=True)
class Cost:
    """Of `streams` streams, heard together or one after the other: ms a frame."""

    streams: int
    together: bool
    wall_ms: float
    cpu_ms: float

    @property
    def sessions(self) -> int:
        return int(_SHARE * FRAME_MS / self.wall_ms)


def _speech() -> Int16:
    """Chunks of 40 ms, (n, 640)."""
    parts = []
    for path in sorted(RECORDINGS.glob("sense_*.wav")):
        with wave.open(str(path)) as recording:
            parts.append(np.frombuffer(recording.readframes(recording.getnframes()), np.int16))
    pcm = np.concatenate(parts)
    return pcm[: len(pcm) // MODEL_SAMPLES * MODEL_SAMPLES].reshape(-1, MODEL_SAMPLES)


class Streams:
    """Several sessions of one avatar in the middle of a turn."""

    def __init__(self, adapter: ModelAdapter, avatar: AvatarState, count: int) -> None:
        self._adapter = adapter
        self._streams = [adapter.open_stream(avatar) for _ in range(count)]
        self._out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
        self._speech = _speech()
        self._heard = 0  # chunks
        self._pose = 0
        self._poses = avatar.idle_frames

    def advance(self, together: bool) -> int:
        """40 ms of each; how many frames were drawn."""
        adapter, streams = self._adapter, self._streams
        starts = (self._heard + _APART * np.arange(len(streams))) % len(self._speech)
        chunks = [AudioChunk(self._speech[start], MODEL_RATE) for start in starts]
        self._heard += 1
        work = [(adapter.extract_features(chunk, one), one) for chunk, one in zip(chunks, streams, strict=True)]
        if together and isinstance(adapter, BatchingAdapter):
            found = adapter.infer_batch(work)
        else:
            found = [adapter.infer(features, stream) for features, stream in work]
        for stream, predictions in zip(streams, found, strict=True):
            for prediction in predictions:
                adapter.compose_frame(stream, self._pose, prediction, self._out)
        frames = sum(map(len, found))
        self._pose = (self._pose + bool(frames)) % self._poses
        return frames


def cost(adapter: ModelAdapter, avatar: AvatarState, count: int, together: bool) -> Cost:
    """Measure until a few seconds are full, after the look-ahead is and one pass has warmed up."""
    streams = Streams(adapter, avatar, count)
    while not streams.advance(together):
        pass
    spent: list[tuple[float, float]] = []
    until = time.perf_counter() + _ENOUGH_S
    while len(spent) < _FEWEST or time.perf_counter() < until:
        began, worked, frames = time.perf_counter(), time.process_time(), 0
        while not frames:
            frames = streams.advance(together)
        spent.append((time.perf_counter() - began, time.process_time() - worked))
    wall_ms, cpu_ms = (np.median(spent, axis=0) * 1000 / count).tolist()
    return Cost(count, together, wall_ms, cpu_ms)


def measure(model: str, avatar: Path, device: str, counts: Sequence[int]) -> list[Cost]:
    """Costs of the model, with its idle loop in memory as in use."""
    adapter = create_adapter(model, settings())
    adapter.load_model(device)
    state = adapter.load_avatar(avatar)
    clip = np.empty((state.idle_frames, *i420_shape(state.width, state.height)), np.uint8)
    for pose in range(state.idle_frames):
        adapter.idle_frame(state, pose, clip[pose])
    adapter.use_idle_clip(state, clip)
    adapter.warmup(state)
    ways = [False, True] if isinstance(adapter, BatchingAdapter) else [False]
    return [cost(adapter, state, count, together) for count in counts for together in ways if count > 1 or not together]


def conditions(device: str) -> dict[str, Any]:
    """What the figures hold for."""
    said: dict[str, Any] = {"device": device, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    if device.startswith("cuda"):
        import torch

        said |= {"gpu": torch.cuda.get_device_name(device)}
    configured = settings()
    return said | {"threads": configured.wav2lip_cpu_threads, "precision": configured.wav2lip_precision}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="portrait")
    parser.add_argument("--avatar", type=Path, default=PACKAGED / "presenter", help="folder of a bundle")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--streams", default="1,2,4,8", help="numbers of sessions to measure")
    parser.add_argument("--checkpoint", default="", help="of wav2lip")
    parser.add_argument("--random", type=int, choices=(96, 256, 384), help="a wav2lip network with random weights")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    if options.checkpoint:
        os.environ["OPENTALKING_WAV2LIP_CHECKPOINT"] = options.checkpoint
    with tempfile.TemporaryDirectory(prefix="opentalking-bench-") as folder:
        if options.random:
            from tests.support.wav2lip_weights import write_random_checkpoint

            path = write_random_checkpoint(Path(folder) / "random.pth", options.random)
            os.environ["OPENTALKING_WAV2LIP_CHECKPOINT"] = str(path)
        device = choose_device(options.device)
        counts = [int(count) for count in options.streams.split(",")]
        costs = measure(options.model, options.avatar, device, counts)
    told = conditions(device)
    if options.json:
        rows = [
            {
                "streams": row.streams,
                "together": row.together,
                "frame_ms": round(row.wall_ms, 2),
                "frame_cpu_ms": round(row.cpu_ms, 2),
                "sessions": row.sessions,
            }
            for row in costs
        ]
        print(json.dumps({"model": options.model, "conditions": told, "costs": rows}))
        return
    print(f"{options.model}: " + ", ".join(f"{name} {value}" for name, value in told.items()))
    print(f"{'streams':>8}{'in one pass':>13}{'ms a frame':>12}{'CPU ms':>9}{'sessions':>10}")
    for row in costs:
        way = "yes" if row.together else "no"
        print(f"{row.streams:>8}{way:>13}{row.wall_ms:>12.2f}{row.cpu_ms:>9.2f}{row.sessions:>10}")


if __name__ == "__main__":
    main()

"""The values that flow between the stages, and the few numbers every stage agrees on.

One video frame lasts 40 ms (25 fps) and carries exactly the 1920 samples (48 kHz, mono) that sound while it is shown;
an audio packet is half of that. Everything downstream of the API carries the generation of its turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Int16: TypeAlias = NDArray[np.int16]
Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
UInt8: TypeAlias = NDArray[np.uint8]

FPS = 25
FRAME_MS = 40
PACKET_MS = 20
MODEL_RATE = 16_000  # Hz, what the models hear
PLAYBACK_RATE = 48_000  # Hz, what the listener hears: the clock rate of Opus
MODEL_SAMPLES = MODEL_RATE * FRAME_MS // 1000  # 640 a frame
PLAYBACK_SAMPLES = PLAYBACK_RATE * FRAME_MS // 1000  # 1920 a frame
PACKET_SAMPLES = PLAYBACK_RATE * PACKET_MS // 1000  # 960 an audio packet


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Mono PCM. `data` is int16 of shape (samples,); `sample_rate` in Hz."""

    data: Int16
    sample_rate: int

    @property
    def duration_ms(self) -> float:
        return len(self.data) * 1000.0 / self.sample_rate


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One picture. `data` is uint8 I420 of shape (height * 3 // 2, width); `timestamp_ms` on the turn's timeline."""

    data: UInt8
    width: int
    height: int
    timestamp_ms: float


def i420_shape(width: int, height: int) -> tuple[int, int]:
    """Shape (rows, columns) of the I420 array of a picture; both sides must be even."""
    if width % 2 or height % 2 or width <= 0 or height <= 0:
        raise ValueError(f"I420 needs even, positive sides, not {width}x{height}")
    return height * 3 // 2, width

"""A stand-in face, loaded into the real inference process as a plug-in: the picture shows what sounds in its own slot.

    luma      how loud the 40 ms are: DARK in silence, BRIGHT from LOUD_PEAK on
    chroma    which pitch is the loudest: a hue on the circle around grey, HUE_RANGE_HZ once round; none in silence

`reading` tells both again from a decoded picture, from its middle alone, so that a receiver can say what it was shown:
whose sound (its hue), and since when (its luma). The picture is flat, which an encoder can hardly spoil, and says
nothing of anything but its slot: no look-ahead, no memory. Between turns it is DARK and grey.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opentalking.avatars import read_bundle
from opentalking.types import FPS, FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, UInt8

DARK, BRIGHT = 40, 200  # luma
LOUD_PEAK = 6000  # amplitude that is shown as BRIGHT
SILENT_PEAK = 200  # below this there is no pitch to tell
GREY = 128  # chroma of no hue
SATURATION = 80  # distance of a hue from grey
HUE_RANGE_HZ = 3600
IDLE_FRAMES = 50
_TAPER = np.hanning(MODEL_SAMPLES)
_HZ_PER_BIN = MODEL_RATE / MODEL_SAMPLES
_READ_EDGE = 32  # pixels of the middle that is read


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture shows: `loudness` 0 (silence) to 1, `hertz` modulo HUE_RANGE_HZ, None if it is grey."""

    loudness: float
    hertz: float | None


@dataclass(frozen=True, slots=True)
class MirrorAvatar:
    """Of a bundle only the size matters."""

    width: int
    height: int
    fps: int = FPS
    idle_frames: int = IDLE_FRAMES


class MirrorAdapter:
    """The ModelAdapter; a prediction is the picture's (Y, U, V)."""

    model_type = "mirror"
    chunk_ms = FRAME_MS
    lookahead_ms = 0

    def load_model(self, device: str) -> None:
        """Nothing to load."""

    def load_avatar(self, path: Path) -> MirrorAvatar:
        manifest = read_bundle(path).manifest
        return MirrorAvatar(manifest.width, manifest.height)

    def open_stream(self, avatar: MirrorAvatar) -> MirrorAvatar:
        return avatar

    def warmup(self, avatar: MirrorAvatar) -> None:
        """Nothing is slow the first time."""

    def extract_features(self, chunk: AudioChunk | None, stream: MirrorAvatar) -> AudioChunk | None:
        if chunk is not None and chunk.sample_rate != MODEL_RATE:
            raise ValueError(f"the mirror hears {MODEL_RATE} Hz, not {chunk.sample_rate}")
        return chunk

    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        return [] if features is None else [colour(features)]

    def compose_frame(self, stream: MirrorAvatar, pose: int, prediction: tuple[int, int, int], out: UInt8) -> None:
        _fill(out, stream.height, *prediction)

    def use_idle_clip(self, avatar: MirrorAvatar, clip: UInt8) -> None:
        """Not needed."""

    def idle_frame(self, avatar: MirrorAvatar, pose: int, out: UInt8) -> None:
        _fill(out, avatar.height, DARK, GREY, GREY)

    def reset(self, stream: Any) -> None:
        """Nothing is kept."""


def colour(chunk: AudioChunk) -> tuple[int, int, int]:
    """(Y, U, V) of one slot's sound."""
    samples = chunk.data.astype(np.float64)
    peak = float(np.abs(samples).max(initial=0))
    if peak < SILENT_PEAK:
        return DARK, GREY, GREY
    luma = DARK + (BRIGHT - DARK) * min(1.0, peak / LOUD_PEAK)
    hertz = float(np.abs(np.fft.rfft(samples * _TAPER)).argmax()) * _HZ_PER_BIN
    angle = 2 * math.pi * hertz / HUE_RANGE_HZ
    return round(luma), round(GREY + SATURATION * math.cos(angle)), round(GREY + SATURATION * math.sin(angle))


def reading(picture: UInt8) -> Reading:
    """What an I420 picture, uint8 (height * 3 // 2, width), shows in its middle."""
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    return reading_of(picture[:height], *picture[height:].reshape(2, height // 2, width // 2))


def reading_of(y: UInt8, cb: UInt8, cr: UInt8) -> Reading:
    """What a picture shows, by its planes."""
    luma = _middle(y).mean()
    u, v = float(_middle(cb).mean()) - GREY, float(_middle(cr).mean()) - GREY
    hertz = math.atan2(v, u) / (2 * math.pi) * HUE_RANGE_HZ % HUE_RANGE_HZ
    return Reading(float(luma - DARK) / (BRIGHT - DARK), hertz if math.hypot(u, v) > SATURATION / 4 else None)


def pitch_distance(one: float, other: float) -> float:
    """Between two pitches as hues: HUE_RANGE_HZ is the same as nothing."""
    return abs((one - other + HUE_RANGE_HZ / 2) % HUE_RANGE_HZ - HUE_RANGE_HZ / 2)


def _middle(plane: UInt8) -> UInt8:
    top, left = ((side - _READ_EDGE) // 2 for side in plane.shape)
    return plane[top : top + _READ_EDGE, left : left + _READ_EDGE]


def _fill(out: UInt8, height: int, y: int, u: int, v: int) -> None:
    out[:height], out[height : height * 5 // 4], out[height * 5 // 4 :] = y, u, v

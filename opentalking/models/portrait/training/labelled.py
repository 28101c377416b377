"""Speech whose phonemes are known in time: what every voice here gives and what training and evaluation take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

import numpy as np
from scipy.signal import resample_poly

from opentalking.models.portrait.mel import HOP, WINDOW, MelStream
from opentalking.models.portrait.visemes import SILENCE
from opentalking.types import MODEL_RATE, Float32, UInt8


class Segment(NamedTuple):
    """A phoneme from `start` to `end`, in seconds; the visemes it goes through share its time equally."""

    start: float
    end: float
    visemes: tuple[int, ...]


@dataclass(frozen=True)
class Labelled:
    """`samples` float32 (n,) at 16 kHz in -1..1; `visemes` uint8 (n // 160 + 1,), that of the instants 10 ms apart."""

    samples: Float32
    visemes: UInt8
    voice: str


def labelled(samples: Float32, rate: int, segments: Iterable[Segment], voice: str) -> Labelled:
    """Sound at any rate with its segments, at the net's rate. What no segment covers is silence."""
    common = gcd(rate, MODEL_RATE)
    if rate != MODEL_RATE:
        samples = resample_poly(samples, MODEL_RATE // common, rate // common).astype(np.float32)
    frames_a_second = MODEL_RATE / HOP
    visemes = np.full(len(samples) // HOP + 1, SILENCE, np.uint8)
    for start, end, parts in segments:
        edges = start + (end - start) * np.arange(len(parts) + 1) / len(parts)
        frames = np.ceil(edges * frames_a_second - 1e-6).astype(int)
        for part, low, high in zip(parts, frames[:-1], frames[1:], strict=True):
            visemes[low:high] = part
    return Labelled(samples, visemes, voice)


@dataclass(frozen=True)
class Clip:
    """What the net is given of a piece of speech: `mel` float32 (frames, 40), `visemes` uint8 (frames,)."""

    mel: Float32
    visemes: UInt8
    voice: str


def clip(speech: Labelled) -> Clip:
    mel = MelStream().push(np.concatenate([speech.samples, np.zeros(WINDOW // 2, np.float32)]))
    frames = min(len(mel), len(speech.visemes))
    return Clip(mel[:frames], speech.visemes[:frames], speech.voice)


def read_pcm(data: bytes) -> Float32:
    """Little-endian s16 to float32 in -1..1."""
    samples: Float32 = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
    return samples

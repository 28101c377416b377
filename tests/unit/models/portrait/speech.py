"""Speech for these tests as models hear it: 16 kHz, in chunks, every phoneme's time known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16
from tests.support.phonemes import pronounce


@dataclass(frozen=True)
class Spoken:
    """`pcm` int16 at 16 kHz, whole chunks; `phonemes` (milliseconds of its start, name) in order."""

    pcm: Int16
    phonemes: list[tuple[int, str]]

    def chunks(self) -> list[AudioChunk]:
        return [AudioChunk(part, MODEL_RATE) for part in self.pcm.reshape(-1, MODEL_SAMPLES)]


@cache
def speak(text: str, voice: str = "en-us") -> Spoken:
    spoken = pronounce(text, voice)
    pcm, rate = spoken.pcm, spoken.rate
    resampled = np.interp(np.arange(len(pcm) * MODEL_RATE // rate) * rate / MODEL_RATE, np.arange(len(pcm)), pcm)
    padded = np.zeros(-(-len(resampled) // MODEL_SAMPLES) * MODEL_SAMPLES, np.int16)
    padded[: len(resampled)] = resampled
    return Spoken(padded, [(round(phoneme.start * 1000), phoneme.name) for phoneme in spoken.phonemes])

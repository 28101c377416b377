"""Speech for these tests: espeak-ng's, so that every phoneme's time is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from opentalking.models.portrait.training.espeak import synthesise
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16


@dataclass(frozen=True)
class Spoken:
    """`pcm` int16 at 16 kHz, whole chunks; `phonemes` (milliseconds of its start, name) in order."""

    pcm: Int16
    phonemes: list[tuple[int, str]]

    def chunks(self) -> list[AudioChunk]:
        return [AudioChunk(part, MODEL_RATE) for part in self.pcm.reshape(-1, MODEL_SAMPLES)]


@cache
def speak(text: str, voice: str = "en-us") -> Spoken:
    samples, rate, phonemes = synthesise(text, voice)
    places = np.arange(len(samples) * MODEL_RATE // rate) * rate / MODEL_RATE
    resampled = np.interp(places, np.arange(len(samples)), samples * 32768)
    padded = np.zeros(-(-len(resampled) // MODEL_SAMPLES) * MODEL_SAMPLES, np.int16)
    padded[: len(resampled)] = resampled
    return Spoken(padded, [(round(start * 1000), name) for start, name in phonemes])

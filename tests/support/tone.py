"""A stand-in voice of fixed delay, loaded into the real speech process as a plug-in: a tone of 60 ms a character.

The pitch is the session's own when the text begins with `[440]`, so that a receiver can tell whose sound it gets.
`[clicks 12]` is so many clicks instead (`clicks` says when and how high): loud tones of one slot, each beginning with
its slot, silence between them. Neighbours differ in pitch and the silences in length, so that a receiver knows which
click it sees and which it hears, however far apart they have come. `[noise 8]` is 8 s of a noise that is always the
same and nowhere like itself (`noise_track`), so that a receiver knows which of its samples it hears.

OPENTALKING_TONE_DELAY_MS is waited before the first PCM; the rest comes as fast as it is taken, in chunks of 240 ms.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from itertools import accumulate, cycle, islice

import numpy as np
from scipy.signal import butter, sosfilt

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter, Voice
from opentalking.tts.policy import VoiceChain
from opentalking.types import AudioChunk

RATE = 24_000
CHUNK = RATE * 240 // 1000
MS_PER_CHARACTER = 60
SLOT = RATE * 40 // 1000
CLICK_AMPLITUDE = 16_000
NOISE_LEVEL = 3000
CLICK_PITCHES = tuple(range(600, 3600, 300))  # in this order, again and again
_CLICK_SPACING = (12, 9, 17, 10, 14, 8, 19)  # slots from one click to the next; with ten pitches: 70 clicks a period


def clicks(count: int) -> list[tuple[int, int]]:
    """(slot, pitch) of the clicks of a fragment."""
    slots = accumulate(islice(cycle(_CLICK_SPACING), count))
    return list(zip(slots, cycle(CLICK_PITCHES), strict=False))


def click_track(count: int) -> np.ndarray:
    """int16 at RATE; the last click is followed by as much silence as the longest between two."""
    marks = clicks(count)
    track = np.zeros((marks[-1][0] + max(_CLICK_SPACING)) * SLOT, np.int16)
    for slot, hertz in marks:
        wave = CLICK_AMPLITUDE * np.cos(2 * np.pi * hertz / RATE * np.arange(SLOT))
        track[slot * SLOT : (slot + 1) * SLOT] = wave.astype(np.int16)
    return track


def noise_track(seconds: int) -> np.ndarray:
    """int16 at RATE, from 200 to 3000 Hz: a codec keeps its waveform."""
    drawn = np.random.default_rng(0).normal(0, 1, seconds * RATE)
    band = sosfilt(butter(6, (200, 3000), "bandpass", fs=RATE, output="sos"), drawn)
    return (band * (NOISE_LEVEL / band.std())).clip(-32768, 32767).astype(np.int16)


def tone(text: str) -> np.ndarray:
    """int16 at RATE: one pitch, for as long as the text is."""
    pitch = re.match(r"\[(\d+)]", text)
    hertz = int(pitch[1]) if pitch else 440
    samples = len(text) * MS_PER_CHARACTER * RATE // 1000
    return (8000 * np.sin(2 * np.pi * hertz / RATE * np.arange(samples))).astype(np.int16)


def track_of(kind: str, count: int) -> np.ndarray:
    return click_track(count) if kind == "clicks" else noise_track(count)


class ToneTTS:
    """The TTSAdapter."""

    provider = "tone"
    sample_rates = (RATE,)
    any_voice = False

    def __init__(self, settings: Settings) -> None:
        self._delay_s = float(os.environ.get("OPENTALKING_TONE_DELAY_MS", "0")) / 1000

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        return None

    async def warmup(self) -> None:
        """Nothing to load."""

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, "tone", "Tone", "en")]

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        await asyncio.sleep(self._delay_s)
        wanted = re.match(r"\[(clicks|noise) (\d+)]", text)
        sound = track_of(wanted[1], int(wanted[2])) if wanted else tone(text)
        for start in range(0, len(sound), CHUNK):
            yield AudioChunk(sound[start : start + CHUNK], RATE)
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Nothing to let go of."""


def tone_chain(settings: Settings) -> VoiceChain:
    """The engines of a process that has only this one."""

    async def load(name: str) -> TTSAdapter:
        return ToneTTS(settings)

    return VoiceChain(settings, load, ToneTTS.provider)

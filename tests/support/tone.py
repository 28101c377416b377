"""A stand-in voice of fixed delay, loaded into the real speech process as a plug-in: a tone of 60 ms a character.

The pitch is the session's own when the text begins with `[440]`, so that a receiver can tell whose sound it gets.
OPENTALKING_TONE_DELAY_MS is waited before the first PCM; the rest comes as fast as it is taken, in chunks of 240 ms.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator

import numpy as np

from opentalking.config import Settings
from opentalking.tts.base import Voice
from opentalking.types import AudioChunk

RATE = 24_000
CHUNK = RATE * 240 // 1000
MS_PER_CHARACTER = 60


class ToneTTS:
    """The TTSAdapter."""

    provider = "tone"

    def __init__(self, settings: Settings) -> None:
        self._delay_s = float(os.environ.get("OPENTALKING_TONE_DELAY_MS", "0")) / 1000

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        return None

    async def warmup(self) -> None:
        """Nothing to load."""

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, "tone", "Tone", "en")]

    async def synthesize_stream(self, text: str, voice: str | None = None) -> AsyncGenerator[AudioChunk, None]:
        await asyncio.sleep(self._delay_s)
        pitch = re.match(r"\[(\d+)]", text)
        hertz = int(pitch[1]) if pitch else 440
        samples = len(text) * MS_PER_CHARACTER * RATE // 1000
        tone = (8000 * np.sin(2 * np.pi * hertz / RATE * np.arange(samples))).astype(np.int16)
        for start in range(0, samples, CHUNK):
            yield AudioChunk(tone[start : start + CHUNK], RATE)
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Nothing to let go of."""

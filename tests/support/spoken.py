"""Sentences as a person would say them into a microphone: by the packaged voice, 16 kHz."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from opentalking.config import Settings
from opentalking.tts.adapters.piper import PiperTTS

RATE = 16_000


async def said_by_piper(text: str, settings: Settings) -> NDArray[np.int16]:
    """int16 at RATE. The voice is prepared in the cache of `settings`."""
    piper = PiperTTS(settings)
    chunks = [chunk async for chunk in piper.synthesize_stream(text)]
    await piper.aclose()
    pcm = np.concatenate([chunk.data for chunk in chunks]).astype(np.float64)
    return resample_poly(pcm, RATE, chunks[0].sample_rate).clip(-32768, 32767).astype(np.int16)


def wav(pcm: NDArray[np.int16]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(pcm.astype("<i2").tobytes())
    return file.getvalue()

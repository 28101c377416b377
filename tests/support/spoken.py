"""What a person does at a microphone: sentences by the packaged voice, coughs, clicks and noise; int16 at 16 kHz."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly

from opentalking.config import Settings
from opentalking.tts.adapters.piper import PiperTTS

RATE = 16_000
RECORDINGS = Path(__file__).parents[1] / "data" / "speech"  # of people; its README says whose
_WINDOW_MS = 10
_SILENT = 0.02  # share of the loudest 10 ms
_FLOOR = 30.0  # of a 16-bit sample


class Voice:
    """The packaged voice, loaded once; each sentence is made once. It is prepared in the cache of `settings`."""

    def __init__(self, settings: Settings) -> None:
        self._piper = PiperTTS(settings)
        self._said: dict[str, NDArray[np.int16]] = {}

    async def say(self, text: str) -> NDArray[np.int16]:
        """int16 at RATE."""
        if text not in self._said:
            chunks = [chunk async for chunk in self._piper.synthesize_stream(text)]
            pcm = np.concatenate([chunk.data for chunk in chunks]).astype(np.float64)
            said = resample_poly(pcm, RATE, chunks[0].sample_rate).clip(-32768, 32767).astype(np.int16)
            self._said[text] = said
        return self._said[text]

    async def close(self) -> None:
        await self._piper.aclose()


async def said_by_piper(text: str, settings: Settings) -> NDArray[np.int16]:
    """int16 at RATE. The voice is prepared in the cache of `settings`."""
    voice = Voice(settings)
    pcm = await voice.say(text)
    await voice.close()
    return pcm


def speech_span(pcm: NDArray[np.int16], rate: int = RATE) -> tuple[int, int]:
    """First and last sample of what is no silence, by the energy of 10 ms; all of it if nothing stands out."""
    window = rate * _WINDOW_MS // 1000
    level = np.sqrt((pcm[: len(pcm) // window * window].astype(np.float64).reshape(-1, window) ** 2).mean(axis=1))
    loud = np.flatnonzero(level > max(_FLOOR, _SILENT * float(level.max(initial=0))))
    if not len(loud):
        return 0, len(pcm) - 1
    return int(loud[0]) * window, (int(loud[-1]) + 1) * window - 1


def pause(ms: int) -> NDArray[np.int16]:
    return np.zeros(RATE * ms // 1000, np.int16)


def noise(ms: int, amplitude: float = 6000, seed: int = 0) -> NDArray[np.int16]:
    """White noise."""
    drawn = np.random.default_rng(seed).normal(0, amplitude, RATE * ms // 1000)
    return drawn.clip(-32768, 32767).astype(np.int16)


def clicks(ms: int, spacing_ms: int = 150) -> NDArray[np.int16]:
    """A keyboard, or so: single loud samples and their ringing."""
    struck = np.zeros(RATE * ms // 1000)
    struck[:: RATE * spacing_ms // 1000] = 12_000
    return np.asarray(lfilter([1.0], [1.0, -0.9, 0.5], struck)).clip(-32768, 32767).astype(np.int16)


def cough(ms: int = 260, seed: int = 0) -> NDArray[np.int16]:
    """A burst of breath, and a groan at 120 Hz that falls, both through a throat: enough for a detector of speech."""
    drawn, at = np.random.default_rng(seed), np.arange(RATE * ms // 1000) / RATE
    breath = drawn.normal(0, 1, len(at)) * np.exp(-at / (ms / 4000)) * np.minimum(1, at / 0.004)
    phase = np.cumsum(120 * (1 - at / at[-1] / 4)) / RATE
    groan = np.where(phase % 1 < 0.1, 9.0, -1.0) * (1 + 0.1 * drawn.normal(0, 1, len(at)))
    sound = breath + groan * np.clip((at - ms / 5000) / 0.02, 0, 1) * np.clip((at[-1] - at) / 0.06, 0, 1)
    for hertz, width in ((650, 90), (1150, 110), (2500, 170), (3400, 250)):
        pole = np.exp(-np.pi * width / RATE)
        turn = 2 * pole * np.cos(2 * np.pi * hertz / RATE)
        sound = lfilter([1 - turn + pole**2], [1, -turn, pole**2], sound)
    return np.asarray(14_000 * sound / np.abs(sound).max()).astype(np.int16)


def recorded(name: str) -> NDArray[np.int16]:
    """One of RECORDINGS, int16 at RATE."""
    with wave.open(str(RECORDINGS / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def wav(pcm: NDArray[np.int16]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(pcm.astype("<i2").tobytes())
    return file.getvalue()

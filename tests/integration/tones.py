"""What a receiver hears when the voice is a tone: which pitch, in windows of 20 ms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
WINDOW = RATE * 20 // 1000
MS_PER_CHARACTER = 60  # of the stand-in voice
LOUD = 2000.0  # of its 8000
SILENT = 300.0


def level(samples: NDArray[np.int16], hertz: int) -> NDArray[np.float64]:
    """Amplitude of one pitch in each 20 ms of `samples` (48 kHz, mono)."""
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW).astype(np.float64)
    taper = np.hanning(WINDOW)
    probe = taper * np.exp(-2j * np.pi * hertz / RATE * np.arange(WINDOW))
    return np.asarray(2 * np.abs(windows @ probe) / taper.sum())


def sounds(samples: NDArray[np.int16], hertz: int) -> NDArray[np.intp]:
    """Numbers of the windows in which this pitch is heard."""
    return np.flatnonzero(level(samples, hertz) > LOUD)


def duration_ms(samples: NDArray[np.int16], hertz: int) -> int:
    """For how long this pitch is heard, in all."""
    return 20 * len(sounds(samples, hertz))


def is_silent(samples: NDArray[np.int16]) -> bool:
    return bool(np.abs(samples.astype(np.int32)).max(initial=0) < SILENT)


def spoken(hertz: int, sentences: int = 6) -> str:
    """A text of 2.3 s a sentence that the stand-in voice says in this pitch."""
    return " ".join([f"[{hertz}] This goes on for a while longer."] * sentences)


async def eventually(true: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    """For what nobody tells us of (a process, a file, a key): looked at again and again, for so long."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.05)

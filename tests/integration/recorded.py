"""What a receiver recorded of `[noise 8]` (tests/support/tone.py): which of its samples, in which order, how often.

    said       | 0 | 1 | 2 | 3 | 4 | 5 | …                     blocks of 20 ms: a packet each
    recorded   | 0 | 1 | 2 | - | - | - | 3 | 4 | …             -: silence, or whatever is none of them

Opus is LOOK_AHEAD late and nothing else, so a packet that was sent is found again whole, and its waveform is kept: what
is like a block by ALIKE in each of its quarters (5 ms) is that block, to the sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from tests.support.tone import RATE as TONE_RATE
from tests.support.tone import noise_track

RATE = 48_000
BLOCK = RATE * 20 // 1000
QUARTERS = 4
LOOK_AHEAD = 312  # samples: Opus encoders look so far ahead
SILENT = 300.0
ALIKE = 0.8  # correlation; two different blocks have 0.4 at most
NONE = -1


def blocks_heard(samples: NDArray[np.int16], seconds: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each packet that was sent, the number of the block in it, or NONE; and how like it each quarter is."""
    said = _blocks(np.round(resample_poly(noise_track(seconds).astype(np.float64), RATE, TONE_RATE)))
    heard = _blocks(samples[LOOK_AHEAD:].astype(np.float64))
    best = (_unit(heard) @ _unit(said).T).argmax(axis=1)
    quarters = [_unit(_quarters(heard)), _unit(_quarters(said[best]))]
    alike = (quarters[0] * quarters[1]).sum(axis=2)
    silent = np.abs(heard).max(axis=1) < SILENT
    return np.where(silent | (alike.max(axis=1) < ALIKE), NONE, best), alike


def runs(blocks: NDArray[np.intp]) -> list[tuple[int, int]]:
    """First and last block of what sounded without a break."""
    sounds = blocks != NONE
    starts = np.flatnonzero(sounds & ~np.r_[False, sounds[:-1]])
    ends = np.flatnonzero(sounds & ~np.r_[sounds[1:], False])
    return [(int(blocks[start]), int(blocks[end])) for start, end in zip(starts, ends, strict=True)]


def _blocks(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    return samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)


def _quarters(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    return blocks.reshape(len(blocks), QUARTERS, -1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)

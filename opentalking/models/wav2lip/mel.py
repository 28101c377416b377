"""The mel spectrogram that the published wav2lip networks were trained on, from PCM in pieces of any size.

    PCM 16 kHz ─ pre-emphasis .97 ─ Hann window 800, hop 200 ─ magnitude ─ 80 mel bands ─ dB ─ -4..4

Eighty columns a second. Column c is centred on sample 200·c and reaches 400 samples to either side; what lies before
the turn and after it is silence (librosa's `center=True, pad_mode="constant"`). So the columns of a signal stay what
they are when silence follows, and the pieces give what the whole would. Doubles throughout: near the floor of -100 dB
single precision is a few dB off beside a loud tone.

Mel scale and area normalisation are Slaney's, as in librosa's default filters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opentalking.types import FPS, MODEL_RATE, MODEL_SAMPLES, Float32

BANDS = 80
HOP = 200  # samples
WINDOW = 800  # samples; the FFT's length too
COLUMNS_PER_S = MODEL_RATE // HOP  # 80
FRAME_COLUMNS = 16  # what the network hears of one video frame: 200 ms from the frame's begin
LOOKAHEAD_MS = 200  # the last of these columns reaches 172.5 ms past the frame's end; in whole 40 ms chunks

_PREEMPHASIS = 0.97
_LOW_HZ, _HIGH_HZ = 55.0, 7600.0
_FLOOR_DB = -100.0
_REFERENCE_DB = 20.0
_LIMIT = 4.0

_Float64 = NDArray[np.float64]


def _to_mel(hertz: _Float64) -> _Float64:
    """Slaney's scale: linear below 1 kHz, 3 mel per 200 Hz; above, 27 mel for each factor of 6.4."""
    linear = np.asarray(hertz * 3 / 200)
    return np.where(hertz < 1000, linear, 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def _to_hertz(mel: _Float64) -> _Float64:
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((np.maximum(mel, 15) - 15) / 27))


def _filters() -> _Float64:
    """Triangles of equal area, (401, 80)."""
    low, high = _to_mel(np.array([_LOW_HZ, _HIGH_HZ]))
    edges = _to_hertz(np.linspace(low, high, BANDS + 2))
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.fft.rfftfreq(WINDOW, 1 / MODEL_RATE)[:, None]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return np.maximum(triangles, 0) * (2 / (right - left))


_FILTERS = _filters()
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)  # periodic, as for spectra


class MelStream:
    """The samples that the next columns still need."""

    def __init__(self) -> None:
        self._pending: _Float64 = np.zeros(WINDOW // 2)  # pre-emphasised; the silence before the turn
        self._last = np.zeros(1)

    def end(self) -> None:
        """Only silence follows. The whole signal's pre-emphasis ends with it, so the last sample is not taken off."""
        self._last = np.zeros(1)

    def push(self, samples: Float32) -> Float32:
        """Add samples in -1..1; the columns that became complete, float32 (columns, 80)."""
        heard = np.concatenate([self._last, samples])
        self._last = heard[-1:]
        self._pending = np.concatenate([self._pending, heard[1:] - _PREEMPHASIS * heard[:-1]])
        count = (len(self._pending) - WINDOW) // HOP + 1
        if count <= 0:
            return np.zeros((0, BANDS), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._pending, WINDOW)[: count * HOP : HOP]
        magnitude = np.abs(np.fft.rfft(windows * _HANN))
        self._pending = self._pending[count * HOP :]
        decibel = 20 * np.log10(np.maximum(magnitude @ _FILTERS, 10 ** (_FLOOR_DB / 20))) - _REFERENCE_DB
        scaled = 2 * _LIMIT * (decibel - _FLOOR_DB) / -_FLOOR_DB - _LIMIT
        return np.clip(scaled, -_LIMIT, _LIMIT).astype(np.float32)


class FrameWindows:
    """One turn, cut into what the network hears of each video frame: frame i hears columns int(i·80/25) … +16."""

    def __init__(self) -> None:
        self._mel = MelStream()
        self._columns = np.zeros((0, BANDS), np.float32)
        self._dropped = 0  # columns before those held
        self._samples = 0
        self.given = 0  # frames

    def push(self, samples: Float32) -> list[Float32]:
        """Add samples in -1..1; the frames that became complete, each float32 (80, 16), a band a row."""
        self._samples += len(samples)
        self._columns = np.concatenate([self._columns, self._mel.push(samples)])
        windows = []
        while (start := self._start()) + FRAME_COLUMNS <= len(self._columns):
            windows.append(np.ascontiguousarray(self._columns[start : start + FRAME_COLUMNS].T))
            self.given += 1
        done = self._start()
        self._columns = self._columns[done:]
        self._dropped += done
        return windows

    def finish(self) -> list[Float32]:
        """The turn is over: the frames still owed, one for each 40 ms heard, silence following the last."""
        owed = self._samples // MODEL_SAMPLES - self.given
        self._mel.end()
        silence = np.zeros(FRAME_COLUMNS * HOP + WINDOW // 2, np.float32)
        return self.push(silence)[:owed]

    def _start(self) -> int:
        """The first column of the next frame, counted from those held."""
        return self.given * COLUMNS_PER_S // FPS - self._dropped

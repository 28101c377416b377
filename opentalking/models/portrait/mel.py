"""Log-mel frames of 16 kHz speech, a hundred a second, from PCM in pieces of any size.

Frame i is the 25 ms window centred on sample 160·i; the sound before the turn counts as silence. The mel scale is
HTK's, 40 bands from 60 to 7600 Hz, natural logarithm of band energy plus 1e-6.
"""

from __future__ import annotations

import numpy as np

from opentalking.types import MODEL_RATE, Float32, Float64

BANDS = 40
HOP = 160  # samples, 10 ms
WINDOW = 400  # samples, 25 ms
_FFT = 512
_LOW_HZ, _HIGH_HZ = 60.0, 7600.0
_FLOOR = 1e-6


def band_edges() -> Float64:
    """Where the bands begin, peak and end, in Hz, (42,): band i reaches from edge i to edge i + 2."""
    mels = np.linspace(2595 * np.log10(1 + _LOW_HZ / 700), 2595 * np.log10(1 + _HIGH_HZ / 700), BANDS + 2)
    edges: Float64 = 700 * (10 ** (mels / 2595) - 1)
    return edges


def _filters() -> Float32:
    """Triangular mel filters, (257, 40)."""
    edges = band_edges()
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.fft.rfftfreq(_FFT, 1 / MODEL_RATE)[:, None]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.maximum(triangles, 0).astype(np.float32)


_FILTERS = _filters()
_HANN = np.hanning(WINDOW).astype(np.float32)


class MelStream:
    """The samples that the next frames still need."""

    def __init__(self) -> None:
        self._pending = np.zeros(WINDOW // 2, np.float32)

    def push(self, samples: Float32) -> Float32:
        """Add float32 samples in -1..1; the frames that became complete, (frames, 40)."""
        self._pending = np.concatenate([self._pending, samples])
        count = (len(self._pending) - WINDOW) // HOP + 1
        if count <= 0:
            return np.zeros((0, BANDS), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._pending, WINDOW)[: count * HOP : HOP]
        power = np.abs(np.fft.rfft(windows * _HANN, _FFT)) ** 2
        self._pending = self._pending[count * HOP :]
        frames: Float32 = np.log(power.astype(np.float32) @ _FILTERS + np.float32(_FLOOR))
        return frames

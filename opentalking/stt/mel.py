"""What Whisper hears: 80 log-mel bands a hundred times a second, of 16 kHz speech.

Slaney's mel scale from 0 to 8000 Hz, bands of equal area, power of 25 ms Hann windows centred every 10 ms, base-10
logarithm over a range of 8, then (x + 4) / 4: the front end of the paper's own code (openai/whisper, audio.py).
"""

from __future__ import annotations

import numpy as np

from opentalking.types import MODEL_RATE, Float32

BANDS = 80
HOP = 160  # samples, 10 ms
WINDOW = 400  # samples, 25 ms
_LINEAR_HZ = 200 / 3  # a mel below the knee
_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27  # of the logarithm of the frequency, a mel above the knee
_FLOOR = 1e-10
_RANGE = 8.0


def _hz(mels: np.ndarray) -> np.ndarray:
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mels - _KNEE_MEL))
    return np.where(mels < _KNEE_MEL, mels * _LINEAR_HZ, above)


def _filters() -> Float32:
    """Triangular mel filters, (201, 80)."""
    highest = _KNEE_MEL + np.log(MODEL_RATE / 2 / _KNEE_HZ) / _LOG_STEP
    edges = _hz(np.linspace(0, highest, BANDS + 2))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.fft.rfftfreq(WINDOW, 1 / MODEL_RATE)[:, None]
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    filters: Float32 = (np.maximum(triangles, 0) * 2 / (high - low)).astype(np.float32)
    return filters


_FILTERS = _filters()
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def log_mel(samples: Float32) -> Float32:
    """float32 samples in -1..1, at least half a window of them, to (80, len(samples) // 160)."""
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(samples) // HOP * HOP : HOP]
    power = np.abs(np.fft.rfft(windows * _HANN)) ** 2
    logarithm = np.log10(np.maximum(power.astype(np.float32) @ _FILTERS, _FLOOR))
    clipped = np.maximum(logarithm, logarithm.max() - _RANGE)
    return np.ascontiguousarray((clipped.T + 4) / 4, np.float32)

"""What lips do in a row of frames, by landmarks, and how two such rows go together."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from opentalking.avatars.landmarks import FaceFinder, mouth_opening
from opentalking.types import Float32, UInt8


def openings(frames: Sequence[UInt8]) -> Float32:
    """Opening of the mouth in each I420 frame, in eye distances; all show one face that hardly moves."""
    finder, box, measured = FaceFinder(), None, []
    for frame in frames:
        bgr = np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420), np.uint8)
        box = box or finder.detect(bgr)
        assert box is not None
        measured.append(mouth_opening(finder.landmarks(bgr, box)))
    return np.array(measured, np.float32)


def lag_and_correlation(measured: Float32, known: Float32, most: int = 10) -> tuple[int, float]:
    """By how many frames, `most` at most, `measured` follows `known` where they correlate best, and how well there."""
    lags = range(-most, most + 1)
    inner = slice(most, len(known) - most)
    found = [float(np.corrcoef(np.roll(measured, -lag)[inner], known[inner])[0, 1]) for lag in lags]
    best = int(np.argmax(found))
    return lags[best], found[best]

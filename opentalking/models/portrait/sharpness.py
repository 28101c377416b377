"""How sharp a picture is, and a little help for one that is not.

A small face enlarged to the canvas is soft; teeth drawn at full sharpness would look pasted in.
"""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.types import Float32, UInt8

_PROBE = 1.5  # sigma of the blur that the picture is compared with, pixels
_SHARP = 0.9  # a picture's own sigma up to which nothing needs doing
_MOST = 0.7  # strongest unsharp mask


def softness(bgr: UInt8, points: Float32) -> float:
    """Sigma of the blur that the face's sharpest edges have, pixels; about 0.6 for a sharp picture.

    An edge of sigma s has a slope of 1/s, and 1/sqrt(s² + p²) once blurred by p: their ratio tells s (Zhuo and Sim,
    "Defocus map estimation from a single image", 2011)."""
    low, high = points.min(0).astype(int), points.max(0).astype(int)
    cut = bgr[max(0, low[1]) : high[1], max(0, low[0]) : high[0]]
    face: Float32 = np.asarray(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY), np.float32)
    slope, blurred = _slope(face), _slope(np.asarray(cv2.GaussianBlur(face, (0, 0), _PROBE), np.float32))
    strong = slope > np.percentile(slope, 94)
    ratio = np.clip(blurred[strong] / slope[strong], 0.01, 0.98)
    return float(np.percentile(_PROBE * ratio / np.sqrt(1 - ratio**2), 25))


def _slope(luma: Float32) -> Float32:
    return np.asarray(np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)), np.float32)


def sharpened(bgr: UInt8, soft_px: float) -> UInt8:
    """The picture with its own blur partly undone by an unsharp mask, never beyond what surrounds a pixel."""
    amount = float(np.clip((soft_px - _SHARP) / 1.2, 0, 1)) * _MOST
    if amount == 0:
        return bgr
    picture = bgr.astype(np.float32)
    detail = picture - cv2.GaussianBlur(picture, (0, 0), soft_px)
    # a halo would be brighter or darker than anything near
    reach = np.ones((2 * round(soft_px) + 1,) * 2, np.uint8)
    lowest, highest = cv2.erode(bgr, reach), cv2.dilate(bgr, reach)
    return np.asarray(np.clip(picture + amount * detail, lowest, highest).round(), np.uint8)

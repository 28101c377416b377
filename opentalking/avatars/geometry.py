"""Face and mouth as a manifest describes them, in shares of the picture's width and height.

The layout is the original's: `face_box` [left, top, right, bottom]; `animation` with the mouth's centre and radii and
both lip lines, twenty points each, from the person's right corner over the upper lip to the left corner and back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from opentalking.avatars.mouth import INNER_LIP, OUTER_LIP
from opentalking.types import Float32

_DIGITS = 5


def face_box(points: Float32, size: tuple[int, int]) -> list[float]:
    """The box of the points, (468, 3) in pixels of a picture of (width, height), cut at its edges."""
    shares = np.clip(points[:, :2] / size, 0, 1)
    return [round(float(edge), _DIGITS) for edge in (*shares.min(0), *shares.max(0))]


def mouth_shape(points: Float32, size: tuple[int, int]) -> dict[str, Any]:
    """The mouth of those points."""
    shares = np.asarray(points[:, :2] / size, np.float32)
    outer = shares[OUTER_LIP]
    radii = np.ptp(outer, axis=0) / 2
    return {
        "mouth_center": _rounded(np.asarray((outer.min(0) + outer.max(0)) / 2, np.float32)),
        "mouth_rx": round(float(radii[0]), _DIGITS),
        "mouth_ry": round(float(radii[1]), _DIGITS),
        "outer_lip": _rounded(outer),
        "inner_mouth": _rounded(shares[INNER_LIP]),
    }


def _rounded(values: Float32) -> Any:
    return np.round(values.astype(np.float64), _DIGITS).tolist()

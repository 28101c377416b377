"""What a face wears: a beard, spectacles. Measured on the upright crop of mouth.py.

A beard is a chin much darker than the face's upper half. Spectacles are edges where skin has none: across the bridge of
the nose, and under both eyes. The figures that the limits were chosen by are in docs/photo.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from opentalking.avatars.mouth import filled, upper_face
from opentalking.types import Float32, UInt8

_CHIN = [18, 83, 182, 194, 32, 140, 171, 175, 396, 369, 262, 418, 406, 313]
_BRIDGE, _UNDER_EYES = (9, 195), ((230, 50), (450, 280))  # from, to: points of the mesh
_STEPS = 80  # along such a line


@dataclass(frozen=True, slots=True)
class Worn:
    """`chin`: its lightness minus that of the face's upper half; `frames`: the weakest of the three edges, both in
    units of CIE Lab's L (of a step of a line of 80)."""

    chin: float
    frames: float


def worn(crop: UInt8, points: Float32) -> Worn:
    """Of an upright crop and its points."""
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    lightness = np.ascontiguousarray(lab[..., 0], np.float32)
    chin, skin = (lightness[mask] for mask in (filled(points[_CHIN]), upper_face(points)))
    edges = [
        _edge(lightness, points[a], points[b], half)
        for (a, b), half in zip((_BRIDGE, *_UNDER_EYES), (6, 12, 12), strict=True)
    ]
    darker = float(np.median(chin) - np.median(skin)) if chin.size and skin.size else 0.0
    return Worn(darker, min(edges))


def _edge(lightness: Float32, start: Float32, end: Float32, half: int) -> float:
    """The steepest change along lines from `start` to `end`, the median of lines up to `half` pixels beside it."""
    line = start + (end - start) * np.linspace(0, 1, _STEPS, dtype=np.float32)[:, None]
    beside = np.arange(-half, half + 1, 2, dtype=np.float32)[:, None]
    rows = np.broadcast_to(line[:, 1], (len(beside), _STEPS))
    found = cv2.remap(lightness, line[:, 0] + beside, np.ascontiguousarray(rows), cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(found, (7, 1), 1.2, sigmaY=0.01)
    return float(np.median(np.abs(np.gradient(smooth, axis=1)).max(1)))

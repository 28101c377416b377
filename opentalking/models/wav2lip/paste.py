"""The way back: what the network painted, laid into the picture at the mouth alone, softly.

Prepared once a reference picture: where the patch lies, how much of it counts at each pixel, and the picture's colour
along the soft border. A frame then costs one resize of the crop and a mix of the patch (patch.py).

    basic                  a soft rectangle: 18..82 % of the crop's width, 42..90 % of its height
    opentalking_improved   the lips, a little wider
    easy_improved          the lips' hull grown to the chin and into the cheeks; the default
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from opentalking.models.patch import soft_patch
from opentalking.models.planes import Planes, centred
from opentalking.models.wav2lip.references import Reference
from opentalking.types import Float32, UInt8

MODES = ("easy_improved", "opentalking_improved", "basic")

_LIPS_SCALE = {"opentalking_improved": (1.25, 1.8)}  # across, down
_LIPS_BORDER = {"opentalking_improved": 0.15}  # width of the soft border, mouth widths
_SIDEWAYS = 0.25  # easy_improved grows sideways by this share of what it grows up and down
_BORDER_UNIT = 0.1  # its feathering, in mouth widths
_BASIC = (0.18, 0.42, 0.82, 0.90)
_BASIC_BORDER = 0.08  # of the crop's width
_MATCH = 0.75  # share of the difference in colour that is taken back
_MATCH_MOST = 16.0  # and never more than this, of 255


@dataclass(frozen=True, slots=True)
class MaskStyle:
    """How the patch is cut out: one of MODES; the other two are for easy_improved."""

    mode: str = MODES[0]
    dilation: float = 2.5  # the lips' hull is grown to so many times its height
    feathering: float = 2.0  # soft border


class MouthPaste:
    """The mask of one reference picture."""

    def __init__(self, reference: Reference, style: MaskStyle) -> None:
        self._box = reference.box
        mask = _mask(reference, style)
        self._patch = soft_patch(mask, self._box)
        left, top, right, bottom = self._patch.box
        border = self._patch.weight * (1 - self._patch.weight)
        self._border = None if style.mode == "basic" else border / max(float(border.sum()), 1e-6)
        self._colour = self._border_colour(centred(reference.picture[top:bottom, left:right]))

    @property
    def rectangle(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of what `draw` may touch, pixels, even."""
        return self._patch.box

    def draw(self, painted: UInt8, opacity: float, face: Planes) -> None:
        """Lay the network's picture, BGR (side, side, 3), over `face`, which shows this reference."""
        left, top, right, bottom = self._box
        width, height = right - left, bottom - top
        grows = width * height > painted.shape[0] * painted.shape[1]
        how = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
        crop = np.asarray(cv2.resize(painted, (width, height), interpolation=how), np.uint8)
        x0, y0, x1, y1 = self._patch.box
        yuv = centred(crop[y0 - top : y1 - top, x0 - left : x1 - left])
        if self._border is not None:
            apart = self._colour - self._border_colour(yuv)
            yuv += np.clip(np.float32(_MATCH) * apart, -_MATCH_MOST, _MATCH_MOST)
        self._patch.lay(yuv, opacity, face)

    def _border_colour(self, yuv: Float32) -> Float32:
        """Mean colour along the soft border, (3,)."""
        if self._border is None:
            return np.zeros(3, np.float32)
        colour: Float32 = np.tensordot(self._border, yuv, 2)
        return colour


def _mask(reference: Reference, style: MaskStyle) -> Float32:
    """How much of the patch counts at each pixel of the picture, (height, width), 0..1; nothing outside of the crop."""
    height, width = reference.picture.shape[:2]
    left, top, right, bottom = reference.box
    core = np.zeros((height, width), np.uint8)
    lips = reference.lips
    mouth = float(np.ptp(lips[:, 0]))
    if style.mode == "basic":
        size = np.array([right - left, bottom - top] * 2)
        x0, y0, x1, y1 = (np.array([left, top] * 2) + np.array(_BASIC) * size).astype(int).tolist()
        border = _BASIC_BORDER * (right - left)
        core[y0 : y1 + 1, x0 : x1 + 1] = 1
    else:
        grown = 1 + (style.dilation - 1) * _SIDEWAYS, style.dilation
        scale = np.array(_LIPS_SCALE.get(style.mode, grown), np.float32)
        border = _LIPS_BORDER.get(style.mode, _BORDER_UNIT * style.feathering) * mouth
        centre = (lips.min(0) + lips.max(0)) / 2
        hull = cv2.convexHull(centre + (lips - centre) * scale)
        cv2.fillConvexPoly(core, np.rint(hull).astype(np.int32), 1)
    away = cv2.distanceTransform(1 - core, cv2.DIST_L2, 5)
    inward = np.zeros((height, width), np.uint8)
    inward[max(top, (top + bottom) // 2) + 1 : bottom - 1, left + 1 : right - 1] = 1  # what the network repaints
    edge = cv2.distanceTransform(np.pad(inward, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    soft = np.clip(np.minimum(1 - away / max(border, 1.0), edge / max(border, 1.0)), 0, 1)
    mask: Float32 = (soft * soft * (3 - 2 * soft)).astype(np.float32)
    return mask

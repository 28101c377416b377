"""Is the mouth to be seen? Face Mesh draws one wherever a face is, also on a mask, a hand or a microphone.

Three things tell a mouth that was seen from one that was made up, all measured on the face turned upright and scaled to
120 pixels between the outer eye corners:

    unsteady   the mesh is placed six times on crops that differ a little; points that hang on nothing wander
    seam       between lips, or behind them, it is darker than on them: at the left, in the middle and at the right
    redness    lips are no less red than the skin of the face's upper half, the lower one too

The limits, and the pictures that they were chosen on, are in docs/photo.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from opentalking.avatars.faces import Face
from opentalking.avatars.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, FaceFinder
from opentalking.types import Float32, UInt8

# from the person's right corner over the upper lip to the left corner and back
OUTER_LIP = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146]
INNER_LIP = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
_FOREHEAD, _NOSE = [67, 109, 10, 338, 297, 336, 9, 107], [193, 168, 417, 437, 4, 217]
_UPPER_FACE = (_FOREHEAD, _NOSE, [118, 119, 100, 36, 50], [347, 348, 329, 266, 280])
SIDE, EYE_DISTANCE = 360, 120  # of the upright crop, pixels
_EYES_ROW = 0.32  # of the crop
_JITTERS = ((0.06, 0, 1), (-0.06, 0, 1), (0, 0.06, 1), (0, -0.06, 1), (0, 0, 1.12), (0, 0, 0.9))  # x, y, size

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MouthEvidence:
    """`unsteady` in hundredths of the eye distance; `seam` in shares of the lips' lightness, the worst third;
    `redness` in units of CIE Lab's a*."""

    unsteady: float
    seam: float
    redness: float


def upright(bgr: UInt8, face: Face) -> tuple[UInt8, Float32]:
    """The face turned upright, uint8 (SIDE, SIDE, 3), its outer eye corners EYE_DISTANCE apart,
    and its points there."""
    right, left = face.points[RIGHT_EYE_OUTER, :2], face.points[LEFT_EYE_OUTER, :2]
    across = left - right
    distance, angle = float(np.linalg.norm(across)), float(np.arctan2(across[1], across[0]))
    scale = EYE_DISTANCE / distance
    rotation = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array([SIDE / 2, SIDE * _EYES_ROW]) - rotation @ ((right + left) / 2)
    low, high = _around(face, bgr.shape)
    cut = bgr[low[1] : high[1], low[0] : high[0]]
    smaller = min(1.0, 1.5 * scale)  # first averaged: a warp that shrinks much would alias
    size = (max(1, round(cut.shape[1] * smaller)), max(1, round(cut.shape[0] * smaller)))
    cut = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)
    taken = np.column_stack([rotation / smaller, shift + rotation @ low])
    crop = cv2.warpAffine(cut, taken, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8), np.asarray(face.points[:, :2] @ rotation.T + shift, np.float32)


def _around(face: Face, shape: tuple[int, ...]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Corners of what the upright crop can need, inside the picture."""
    left, top, right, bottom = face.box
    margin = max(right - left, bottom - top)
    low = np.maximum(np.array([left, top]) - margin, 0).astype(int)
    return low, np.minimum(np.array([right, bottom]) + margin, [shape[1], shape[0]]).astype(int)


def mouth_evidence(finder: FaceFinder, bgr: UInt8, face: Face) -> MouthEvidence:
    """What speaks for a mouth in this face."""
    crop, points = upright(bgr, face)
    lab = np.asarray(cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_BGR2Lab), np.float32)
    lips = filled(points[OUTER_LIP]) & ~_grown(filled(points[INNER_LIP]), 1)
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    lower = lips & (rows > np.interp(columns, *_line(points)))
    skin = _median(lab, upper_face(points))
    whole, below = _median(lab, lips), _median(lab, lower)
    return MouthEvidence(
        unsteady=_unsteady(finder, crop, points),
        seam=_seam(lab[..., 0], points) / max(float(whole[0]), 1.0),
        redness=float(min(whole[1], below[1]) - skin[1]),
    )


def filled(outline: Float32) -> Mask:
    """The inside of an outline, (n, 2), in the upright crop."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], 1)
    return canvas.astype(bool)


def upper_face(points: Float32) -> Mask:
    """Forehead, nose and the cheeks under the eyes: skin that no mask, hand or beard covers."""
    return np.asarray(np.logical_or.reduce([filled(points[part]) for part in _UPPER_FACE]), bool)


def _grown(mask: Mask, pixels: int) -> Mask:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), bool)


def _median(lab: Float32, mask: Mask) -> Float32:
    return np.asarray(np.median(lab[mask], axis=0) if mask.any() else np.zeros(3), np.float32)


def _line(points: Float32) -> tuple[Float32, Float32]:
    """The middle between the inner lips, columns and rows from corner to corner."""
    upper, lower = points[INNER_LIP[:11]], points[[INNER_LIP[0], *INNER_LIP[:9:-1]]]
    line = np.asarray((upper + lower) / 2, np.float32)
    return line[:, 0], line[:, 1]


def _seam(lightness: Float32, points: Float32) -> float:
    """How much darker than its surroundings the darkest row near the lips' line is, in the worst of three parts."""
    xs, ys = _line(points)
    gap = float(np.linalg.norm(points[13] - points[14]))
    near, far = round(4 + gap / 2), round(14 + gap / 2)
    offsets = np.arange(-far, far + 1, dtype=np.float32)
    columns = np.linspace(xs[1], xs[-2], 60, dtype=np.float32)
    rows = np.interp(columns, xs, ys).astype(np.float32)[None] + offsets[:, None]
    smooth = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    profile = cv2.remap(smooth, np.ascontiguousarray(np.broadcast_to(columns, rows.shape)), rows, cv2.INTER_LINEAR)
    depths = []
    for part in np.array_split(profile, 3, axis=1):
        mean = part.mean(1)
        dark = mean[np.abs(offsets) <= near].min()
        depths.append(min(mean[offsets < -near].max(), mean[offsets > near].max()) - dark)
    return float(min(depths))


def _unsteady(finder: FaceFinder, crop: UInt8, points: Float32) -> float:
    low, high = points.min(0), points.max(0)
    centre, side = (low + high) / 2, float((high - low).max()) * 1.5
    placed = []
    for x, y, size in _JITTERS:
        moved = centre + np.array([x, y]) * side / 1.5
        placed.append(finder.mesh(crop, (float(moved[0]), float(moved[1])), side * size, 0.0)[0][:, :2])
    spread = np.linalg.norm(np.stack(placed) - np.mean(placed, axis=0), axis=2).mean(0)
    return float(spread[OUTER_LIP + INNER_LIP].mean()) / EYE_DISTANCE * 100

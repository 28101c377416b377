"""The mouth that the picture has: where its lips meet, closed if it is open, its smile given up for a vowel."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.landmarks import LIP_LOWER_INNER_MID
from opentalking.models.portrait.shapes import (
    INNER_LOWER,
    INNER_UPPER,
    LOWER_LIP,
    LOWER_LIP_MID,
    MOUTH_CORNERS,
    UPPER_LIP,
    FittedShapes,
)
from opentalking.models.portrait.visemes import SHAPES
from opentalking.types import Float32, UInt8

_OPEN_MOUTH = 0.045  # inner lips further apart than this, in eye distances: the picture's mouth is open
_CLOSED_UNSMILE = 0.35  # share of a smile that closing an open mouth takes back: a closed grin looks forced
_UNSMILE = (("jawOpen", 1.3), ("mouthFunnel", 0.5), ("mouthPucker", 0.4))  # share that the shape at 1 takes back
_INWARD: Float32 = np.array([0.55, 0.55, 0.40], np.float32)  # share of B, G, R that lips lose where they turn inward
_SEAM_SEARCH = 0.035  # how far from the landmarks the dark line between closed lips is looked for, in eye distances


def closing(points: Float32, shapes: FittedShapes) -> tuple[Float32, bool]:
    """Displacement (468, 2) that closes the picture's own mouth, and whether there was anything to close.

    Three quarters of the gap are closed by the lower lip, with the chin following; a smile is taken back by a part,
    since a closed grin looks forced."""
    gaps = points[INNER_LOWER] - points[INNER_UPPER]
    size = np.linalg.norm(gaps, axis=1)
    moved = np.zeros((len(points), 2), np.float32)
    if size.max() < _OPEN_MOUTH * shapes.eye_distance:
        return moved, False
    gaps = gaps * (1 + 0.04 * shapes.eye_distance / np.maximum(size, 1))[:, None]  # a little past touching
    moved[INNER_UPPER], moved[INNER_LOWER] = 0.25 * gaps, -0.75 * gaps
    for lip, inner in ((UPPER_LIP, INNER_UPPER), (LOWER_LIP, INNER_LOWER)):
        for point in lip - set(inner):
            nearest = min(inner[1:-1], key=lambda other: abs(points[other, 0] - points[point, 0]))
            moved[point] = 0.92 * moved[nearest]
    below = [
        i for i in range(len(points)) if i not in UPPER_LIP | LOWER_LIP and points[i, 1] > points[LOWER_LIP_MID, 1]
    ]
    sideways = (points[below, 0] - points[LOWER_LIP_MID, 0]) / (0.55 * shapes.eye_distance)
    moved[below] = 0.55 * moved[LIP_LOWER_INNER_MID] * np.exp(-(sideways**2))[:, None]
    moved += _CLOSED_UNSMILE * smile_of(points, shapes) * _sober(shapes)
    return moved, True


def without_teeth(bgr: UInt8, points: Float32, eye_distance: float) -> UInt8:
    """The picture with its open mouth filled from the lips around, darker inward: once closed, the lips meet in a soft
    line instead of a row of crumbs of teeth. What an opening shows is drawn over it anyway."""
    gap = np.zeros(bgr.shape[:2], np.uint8)
    cv2.fillPoly(gap, [points[[*INNER_UPPER, *INNER_LOWER[-2:0:-1]]].round().astype(np.int32)], 255)
    sideways = 2 * round(0.07 * eye_distance) + 1  # the dark of the corners reaches beyond the landmarks
    filled = cv2.inpaint(bgr, cv2.dilate(gap, np.ones((3, sideways), np.uint8)), 3, cv2.INPAINT_TELEA)
    depth = cv2.GaussianBlur(np.clip(cv2.distanceTransform(gap, cv2.DIST_L2, 3) / 2.5, 0, 1), (0, 0), 0.8)
    return np.asarray((filled * (1 - depth[..., None] * _INWARD)).round(), np.uint8)


def smile_of(points: Float32, shapes: FittedShapes) -> float:
    """How much the picture smiles, 0..1, by how far apart its mouth's corners are and how high above its middle."""
    right, left = points[list(MOUTH_CORNERS)]
    middle = (points[INNER_UPPER[5]] + points[INNER_LOWER[5]]) / 2
    width = float(np.linalg.norm(right - left)) / shapes.eye_distance
    lift = float(middle[1] - (right[1] + left[1]) / 2) / shapes.eye_distance
    return float(
        np.clip(0.65 * np.clip((width - 0.56) / 0.14, 0, 1) + 0.65 * np.clip((lift - 0.03) / 0.05, 0, 1) - 0.3, 0, 1)
    )


def _sober(shapes: FittedShapes) -> Float32:
    """Displacement (468, 2) that takes a full smile back: corners down and in, cheeks with them."""
    smile, pucker, stretch = (
        shapes.displacements[SHAPES.index(s)] for s in ("mouthSmile", "mouthPucker", "mouthStretch")
    )
    return np.asarray(-0.42 * smile + 0.55 * pucker - 0.35 * stretch, np.float32)


def unsmiling(points: Float32, shapes: FittedShapes) -> Float32:
    """The shapes, (10, 468, 2), those that open or round a mouth taking a smile back as well.

    A jaw that opens under a grin makes a wide gape; people lose the smile on a wide vowel. As a part of the shape it
    costs nothing a frame."""
    displacements = shapes.displacements.copy()
    sober = smile_of(points, shapes) * _sober(shapes)
    for shape, share in _UNSMILE:
        displacements[SHAPES.index(shape)] += share * sober
    return displacements


def met_seam(points: Float32, closed: Float32) -> Float32:
    """Where the lips of an open mouth meet, (11, 2), once it is moved by closing()."""
    at = points + closed
    return np.asarray((at[INNER_UPPER] + at[INNER_LOWER]) / 2, np.float32)


def closed_seam(bgr: UInt8, points: Float32, eye_distance: float) -> Float32:
    """The dark line between closed lips: the landmarks' middle, drawn to the darkest row near it.

    Landmarks of closed lips are a few pixels apart; cutting beside the line would tear a strip off one lip."""
    middle = (points[INNER_UPPER] + points[INNER_LOWER]) / 2
    luma = cv2.GaussianBlur(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), eye_distance / 200)
    xs = np.arange(int(middle[0, 0]) + 1, int(middle[-1, 0]))
    offsets = np.linspace(-1, 1, 41) * _SEAM_SEARCH * eye_distance
    line = np.interp(xs, middle[:, 0], middle[:, 1])
    rows = line[:, None] + offsets
    columns = np.broadcast_to(xs[:, None], rows.shape)
    found = cv2.remap(luma, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
    # far from the landmarks only if clearly darker
    cost = found + 20 * (offsets / (_SEAM_SEARCH * eye_distance)) ** 2
    shift = offsets[cost.argmin(axis=1)]
    across = np.linspace(-1, 1, len(xs))
    curve = np.polynomial.Polynomial.fit(across, shift, 4)
    at_points = np.clip(np.interp(middle[:, 0], xs, across), -1, 1)
    middle[:, 1] += curve(at_points)
    return middle.astype(np.float32)

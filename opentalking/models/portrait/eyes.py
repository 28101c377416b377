"""Blinks: patches of the picture with the upper lid drawn over the eye, made once, ever more closed."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.models.portrait.planes import to_i420
from opentalking.models.portrait.shapes import LEFT_EYE, RIGHT_EYE
from opentalking.types import Float32, UInt8

LEVELS = (0.2, 0.5, 0.85, 1.0)  # how far the lid has come down

Box = tuple[int, int, int, int]


def build_patches(
    bgr: UInt8, points: Float32, eye_distance: float, flat: bool = False
) -> tuple[list[Box], tuple[UInt8, UInt8]]:
    """Boxes (x0, y0, x1, y1; even) and patches, uint8 (levels, I420 rows, I420 columns), of right and left eye.

    `flat` is for drawn characters, whose outlines must not be stretched: an eye that is nearly shut is painted over."""
    boxes, patches = [], []
    for upper, lower in (RIGHT_EYE, LEFT_EYE):
        lids = points[upper], points[lower]
        box = _box(np.concatenate(lids), eye_distance, bgr.shape[1], bgr.shape[0])
        boxes.append(box)
        levels = []
        for level in LEVELS:
            painted = flat and level > 0.6
            patch = (
                _painted(bgr, *lids, box, eye_distance) if painted else _closed(bgr, *lids, box, eye_distance, level)
            )
            levels.append(to_i420(patch))
        patches.append(np.stack(levels))
    return boxes, (patches[0], patches[1])


def _box(lids: Float32, eye_distance: float, width: int, height: int) -> Box:
    low = np.floor(lids.min(0) - np.array([0.06, 0.20]) * eye_distance).astype(int) // 2 * 2
    high = np.ceil(lids.max(0) + np.array([0.06, 0.12]) * eye_distance).astype(int) // 2 * 2
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    return x0, y0, min(width, int(high[0])), min(height, int(high[1]))


def _closed(bgr: UInt8, upper: Float32, lower: Float32, box: Box, eye_distance: float, level: float) -> UInt8:
    """The box with the lid `level` of the way down: lid edge and lashes slide, the skin above them is stretched."""
    x0, y0, x1, y1 = box
    xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    top, bottom = (np.interp(xs, lid[:, 0], lid[:, 1]).astype(np.float32) for lid in (upper, lower))
    inside = (xs >= upper[0, 0]) & (xs <= upper[-1, 0])
    # the corners meet anyway; in the middle the lid must pass all white that is still below the landmarks
    across = np.clip((xs - upper[0, 0]) / np.ptp(upper[:, 0]), 0, 1)
    bulge = (4 * across * (1 - across)) ** 0.25
    reach = np.maximum(bottom - top, 0) + bulge * (1.3 * _white_below(bgr, lower, eye_distance) + 0.025 * eye_distance)
    travel = np.where(inside, reach * level, 0).astype(np.float32)
    travel = cv2.GaussianBlur(travel[None], (0, 0), eye_distance / 120)[0]
    edge, rigid = top + travel, 0.025 * eye_distance
    fold = top - 0.16 * eye_distance  # above this nothing moves
    above = fold + (ys - fold) * (top - rigid - fold) / (edge - rigid - fold)
    source = np.select([ys >= edge, ys >= edge - rigid, ys >= fold], [ys + 0 * edge, ys - travel, above], ys + 0 * edge)
    columns = np.broadcast_to(xs, source.shape)
    patch = cv2.remap(bgr, np.ascontiguousarray(columns), source.astype(np.float32), cv2.INTER_CUBIC)
    lash = np.exp(-(((ys - edge) / (0.010 * eye_distance)) ** 2)) * bulge * 0.45 * level
    return np.asarray(patch * (1 - lash[..., None]), np.float32).round().astype(np.uint8)


def _white_below(bgr: UInt8, lower: Float32, eye_distance: float) -> float:
    """How far the white of the eye reaches below the lower lid's landmarks, pixels: large eyes of drawn faces do."""
    deepest = 0
    for share in (0.25, 0.75):
        x = int(lower[0, 0] + share * (lower[-1, 0] - lower[0, 0]))
        y = int(np.interp(x, lower[:, 0], lower[:, 1]))
        blue = bgr[y : y + int(0.16 * eye_distance), x, 0].astype(int)  # skin is poor in blue, the white is not
        white = np.flatnonzero(blue > blue[-3:].mean() + 20)
        deepest = max(deepest, int(white[-1]) + 1 if len(white) else 0)
    return float(deepest)


def _painted(bgr: UInt8, upper: Float32, lower: Float32, box: Box, eye_distance: float) -> UInt8:
    """The box with the eye painted over in the colour of the skin above it, and one dark arc for the shut lid."""
    x0, y0, x1, y1 = box
    patch = bgr[y0:y1, x0:x1].copy()
    lids = np.concatenate([upper, lower])
    middle = (lids.min(0) + lids.max(0)) / 2 - [x0, y0]
    half_width = float(np.ptp(lids[:, 0])) / 2
    dark = patch.reshape(-1, 3)[patch.sum(-1).argmin()].tolist()
    lid = int(lids[:, 1].min() - 0.09 * eye_distance) - y0  # a row between eye and brow
    skin = np.median(patch[max(0, lid)], axis=0).tolist()
    centre = (round(middle[0] * 16), round(middle[1] * 16))
    cover = (round(half_width * 1.32 * 16), round(0.16 * eye_distance * 16))
    cv2.ellipse(patch, centre, cover, 0, 0, 360, skin, -1, cv2.LINE_AA, 4)
    arc = (round(half_width * 1.18 * 16), round(0.05 * eye_distance * 16))
    cv2.ellipse(patch, centre, arc, 0, 5, 175, dark, max(2, round(0.018 * eye_distance)), cv2.LINE_AA, 4)
    return patch

"""Blinks: patches of the picture with the upper lid drawn over the eye, made once, ever more closed."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.models.portrait.planes import to_i420
from opentalking.types import Float32, UInt8

LEVELS = (0.2, 0.5, 0.85, 1.0)  # how far the lid has come down

# upper and lower lid from corner to corner, the person's right eye and left eye
_RIGHT = ([33, 246, 161, 160, 159, 158, 157, 173, 133], [33, 7, 163, 144, 145, 153, 154, 155, 133])
_LEFT = ([362, 398, 384, 385, 386, 387, 388, 466, 263], [362, 382, 381, 380, 374, 373, 390, 249, 263])

Box = tuple[int, int, int, int]


def build_patches(bgr: UInt8, points: Float32, eye_distance: float) -> tuple[list[Box], tuple[UInt8, UInt8]]:
    """Boxes (x0, y0, x1, y1; even) and patches, uint8 (levels, I420 rows, I420 columns), of right and left eye."""
    boxes, patches = [], []
    for upper, lower in (_RIGHT, _LEFT):
        box = _box(points[upper + lower], eye_distance, bgr.shape[1], bgr.shape[0])
        boxes.append(box)
        patches.append(
            np.stack(
                [to_i420(_closed(bgr, points[upper], points[lower], box, eye_distance, level)) for level in LEVELS]
            )
        )
    return boxes, (patches[0], patches[1])


def _box(lids: Float32, eye_distance: float, width: int, height: int) -> Box:
    low = np.floor(lids.min(0) - [0.06 * eye_distance, 0.20 * eye_distance]).astype(int) // 2 * 2
    high = np.ceil(lids.max(0) + 0.06 * eye_distance).astype(int) // 2 * 2
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    return x0, y0, min(width, int(high[0])), min(height, int(high[1]))


def _closed(bgr: UInt8, upper: Float32, lower: Float32, box: Box, eye_distance: float, level: float) -> UInt8:
    """The box with the lid `level` of the way down: the skin above the eye is stretched to the lid's new edge."""
    x0, y0, x1, y1 = box
    xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    top, bottom = (np.interp(xs, lid[:, 0], lid[:, 1]).astype(np.float32) for lid in (upper, lower))
    inside = (xs >= upper[0, 0]) & (xs <= upper[-1, 0])
    travel = np.where(inside, np.maximum(bottom - top, 0) * 0.92 * level, 0).astype(np.float32)
    travel = cv2.GaussianBlur(travel[None], (0, 0), eye_distance / 90)[0]
    edge = top + travel
    fold = edge - 0.18 * eye_distance - 0.2 * travel  # where the skin starts to be stretched
    stretched = np.clip((ys - fold) / (edge - fold), 0, 1) ** 1.15
    source = np.where(ys >= edge, ys, np.where(ys < fold, ys, fold + stretched * (top + 0.012 * eye_distance - fold)))
    columns = np.broadcast_to(xs, source.shape)
    patch = cv2.remap(bgr, np.ascontiguousarray(columns), source.astype(np.float32), cv2.INTER_LINEAR)
    lash = np.exp(-(((ys - edge) / (0.012 * eye_distance)) ** 2)) * inside * 0.4 * level
    return np.asarray(patch * (1 - lash[..., None]), np.float32).round().astype(np.uint8)

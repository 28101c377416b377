"""How much of a photo an avatar shows: the head with room above it and the shoulders below, never more than there is.

    ┌───────────┐  0.62 of the face's height above it, for hair
    │   ┌───┐   │
    │   │   │   │  the face, from the hairline to the chin
    │   └───┘   │
    │ shoulders │  0.95 below
    └───────────┘  between 3:4 and 1:1

Nothing is stretched and nothing is invented at the edges: where the photo ends, the crop ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from opentalking.avatars.faces import Face
from opentalking.types import Float32, UInt8

ABOVE, BELOW = 0.62, 0.95  # in heights of the face
ASPECT = (0.75, 1.0)  # width over height
FACE_WIDTH = 220.0  # pixels, what an avatar's face is scaled to: larger costs every frame, and is hardly seen
LARGEST_SCALE = 2.0  # more would only be soft
STRAIGHTEN_DEG = 6.0  # heads that lean more are turned upright, where the photo has the corners for it
SMALLEST_SIDE = 256


@dataclass(frozen=True, slots=True)
class Framing:
    """A rectangle of the photo and how it becomes the avatar's picture: `matrix` (2, 3) takes photo pixels there."""

    matrix: Float32
    width: int
    height: int

    def cut(self, bgr: UInt8) -> UInt8:
        """The avatar's picture, uint8 (height, width, 3)."""
        scale = math.hypot(self.matrix[0, 0], self.matrix[1, 0])
        smaller = min(1.0, 1.5 * scale)  # first averaged: a warp that shrinks much would alias
        matrix = self.matrix.copy()
        if smaller < 1:
            size = (round(bgr.shape[1] * smaller), round(bgr.shape[0] * smaller))
            matrix[:, 0] *= bgr.shape[1] / size[0]
            matrix[:, 1] *= bgr.shape[0] / size[1]
            bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
        cut = cv2.warpAffine(bgr, matrix, (self.width, self.height), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cut, np.uint8)

    def moved(self, points: Float32) -> Float32:
        """Points of the photo, (n, 3) or (n, 2), in the avatar's picture; depth is scaled along."""
        scale = math.hypot(self.matrix[0, 0], self.matrix[1, 0])
        flat = points[:, :2] @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.column_stack([flat, points[:, 2:] * scale]).astype(np.float32)


def frame_face(face: Face, picture: tuple[int, int], largest: tuple[int, int]) -> Framing:
    """The framing of a face in a picture of (width, height), at most `largest` (width, height) large."""
    roll = face.pose.roll
    angle = roll if abs(roll) > STRAIGHTEN_DEG else 0.0
    framing = _framing(face, picture, largest, angle)
    if framing is None and angle:
        framing = _framing(face, picture, largest, 0.0)
    assert framing is not None  # an upright crop always fits
    return framing


def _framing(face: Face, picture: tuple[int, int], largest: tuple[int, int], degrees: float) -> Framing | None:
    """The framing with the head turned back by `degrees`; None if the photo lacks the corners."""
    turn = math.radians(degrees)
    upright = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    points = face.points[:, :2] @ upright.T
    low, high = points.min(0), points.max(0)
    tall = float(high[1] - low[1])
    middle = float(low[0] + high[0]) / 2
    top, bottom = float(low[1]) - ABOVE * tall, float(high[1]) + BELOW * tall
    half = (bottom - top) * ASPECT[1] / 2
    left, right = middle - half, middle + half
    if degrees:
        corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]]) @ upright
        if corners.min() < 0 or (corners.max(0) > picture).any():
            return None
    else:
        top, bottom = max(0.0, top), min(float(picture[1]), bottom)
        left, right = _across(middle, bottom - top, picture[0])
    high_enough = (bottom - top) * ASPECT[1]
    if right - left > high_enough:
        left, right = left + (right - left - high_enough) / 2, right - (right - left - high_enough) / 2
    scale = min(FACE_WIDTH / face.width, LARGEST_SCALE, largest[0] / (right - left), largest[1] / (bottom - top))
    scale = max(scale, SMALLEST_SIDE / min(right - left, bottom - top))
    width, height = (int((side * scale) // 2 * 2) for side in (right - left, bottom - top))
    matrix = np.column_stack([scale * upright, -scale * np.array([left, top])])
    return Framing(matrix.astype(np.float32), width, height)


def _across(middle: float, tall: float, width: int) -> tuple[float, float]:
    """Left and right of a crop `tall` high about `middle`: as wide as it is high, less where the photo ends nearer.

    The head stays in the middle as long as the crop is not narrower than 3:4 for it; then the crop is moved."""
    room = min(middle, width - middle)
    half = min(tall * ASPECT[1] / 2, max(room, tall * ASPECT[0] / 2), width / 2)
    left = min(max(0.0, middle - half), width - 2 * half)
    return left, left + 2 * half

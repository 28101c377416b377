"""What people hold before their mouths, painted over a face: a mask, a hand, a microphone."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.faces import Face
from opentalking.types import Float32, UInt8

_MASK_OUTLINE = [197, 117, 234, 132, 58, 172, 150, 176, 152, 400, 379, 397, 288, 361, 454, 346]
_CHEEKS = [50, 280, 118, 347]


def _laid(bgr: UInt8, paint: Float32, where: Float32) -> UInt8:
    share = cv2.GaussianBlur(where, (0, 0), 1.3)[..., None]
    return np.asarray(np.clip(bgr * (1 - share) + paint * share, 0, 255), np.uint8)


def _mouth(face: Face) -> Float32:
    return np.asarray(face.points[[13, 14], :2].mean(0), np.float32)


def mask(bgr: UInt8, face: Face, colour: tuple[int, int, int]) -> UInt8:
    where = np.zeros(bgr.shape[:2], np.float32)
    cv2.fillPoly(where, [np.round(face.points[_MASK_OUTLINE, :2]).astype(int)], 1)
    light = cv2.GaussianBlur(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), face.width / 8)
    shade = np.clip(0.6 + 0.4 * light / light.mean(), 0.3, 1.3)[..., None]
    return _laid(bgr, np.float32(colour) * shade, where)


def hand(bgr: UInt8, face: Face) -> UInt8:
    """Four fingers from the side, in the colour of the cheeks."""
    x, y = _mouth(face)
    rows, columns = np.round(face.points[_CHEEKS, :2]).astype(int).T[::-1]
    skin = np.median(bgr[rows, columns], axis=0) * 0.9
    size = (int(face.width * 0.62), int(face.width * 0.085))
    for finger in range(4):
        middle = y + (finger - 1.5) * face.width * 0.15
        where = np.zeros(bgr.shape[:2], np.float32)
        cv2.ellipse(where, (int(x + face.width * 0.35), int(middle)), size, -8, 0, 360, 1, -1)
        shadow = cv2.GaussianBlur(where, (0, 0), face.width * 0.03)[..., None]
        across = np.clip((np.arange(bgr.shape[0]) - middle) / size[1], -1, 1)
        shaded = np.asarray(bgr * (1 - 0.25 * shadow), np.uint8)
        bgr = _laid(shaded, np.float32(skin) * (1 - 0.25 * across[:, None, None] ** 2), where)
    return bgr


def microphone(bgr: UInt8, face: Face, below: float = 0.1, grey: int = 40) -> UInt8:
    """A ball on a stick, its middle `below` the mouth's, in widths of the face."""
    x, y = (int(value) for value in _mouth(face) + np.float32([0, below * face.width]))
    size = int(face.width * 0.22)
    where = np.zeros(bgr.shape[:2], np.float32)
    cv2.ellipse(where, (x, y), (size, round(size * 1.1)), 0, 0, 360, 1, -1)
    cv2.rectangle(where, (x - size // 3, y), (x + size // 3, y + 7 * size), 1, -1)
    grain = np.random.default_rng(0).normal(grey, 8, bgr.shape[:2])[..., None]
    return _laid(bgr, np.asarray(np.repeat(grain, 3, 2), np.float32), where)

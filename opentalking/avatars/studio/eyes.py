"""The painted eyeball."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.studio.people import Colour
from opentalking.avatars.studio.vectors import Floats
from opentalking.types import UInt8

SIDE = 512
IRIS = 118  # radius in pixels
IRIS_SHARE = 0.43  # of the eyeball's radius


def iris_picture(colour: Colour, seed: int) -> UInt8:
    """The front of an eyeball, uint8 BGR (512, 512, 3) in display values: pupil, iris and its fibres, limbus, white."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE, 0:SIDE] - (SIDE - 1) / 2
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    display: Floats = np.clip(np.asarray(colour[::-1]), 0, 1) ** (1 / 2.2) * 255
    rough = np.tile(random.normal(size=(1, 400)), (1, 3))
    fibres = cv2.GaussianBlur(rough, (0, 0), 1.2)[0, 400:800]
    ray = np.interp(angle, np.linspace(-np.pi, np.pi, 400), fibres / np.abs(fibres).max())
    inward = np.clip(1 - radius / IRIS, 0, 1)
    brightness = (0.80 + 0.55 * inward) * (1 + 0.22 * ray)
    iris = display * brightness[..., None]
    white = np.full((SIDE, SIDE, 3), (205, 212, 222), np.float64)
    pink = np.clip((radius - 150) / 150, 0, 1)[..., None] * 0.35
    white = white * (1 - pink) + np.array([140, 150, 205]) * pink

    def edge(at: float, softness: float) -> Floats:
        return np.asarray(1 / (1 + np.exp((radius - at) / softness)))[..., None]

    picture = white * (1 - edge(IRIS, 4)) + iris * edge(IRIS, 4)
    ring = np.exp(-(((radius - IRIS + 4) / 12) ** 2))[..., None] * 0.7
    picture = picture * (1 - ring) + np.array([26, 28, 32]) * ring
    picture = picture * (1 - edge(46, 3)) + 6 * edge(46, 3)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)

"""What is behind a person: a soft gradient with a few lights out of focus, and laying the person over it."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.studio.people import Colour
from opentalking.avatars.studio.vectors import Floats
from opentalking.types import UInt8

_LIGHTS = 14


def backdrop(width: int, height: int, colours: tuple[Colour, Colour], seed: int) -> Floats:
    """Floats BGR (height, width, 3), 0..255: `colours` above and below, brighter behind the head."""
    random = np.random.default_rng(seed)
    down = np.linspace(0, 1, height)[:, None, None]
    above, below = (np.array(colour[::-1]) * 255 for colour in colours)
    picture = above * (1 - down) + below * down
    picture = np.broadcast_to(picture, (height, width, 3)).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    glow = np.exp(-(((x - 0.5 * width) / (0.55 * width)) ** 2) - ((y - 0.4 * height) / (0.5 * height)) ** 2)
    picture = picture * (0.86 + 0.22 * glow[..., None])
    for _ in range(_LIGHTS):
        disc = np.zeros((height, width), np.float32)
        centre = (int(random.integers(width)), int(random.integers(height * 3 // 4)))
        cv2.circle(disc, centre, int(random.integers(width // 26, width // 10)), 1.0, -1, cv2.LINE_AA)
        disc = cv2.GaussianBlur(disc, (0, 0), width / 70)[..., None] * random.uniform(0.02, 0.07)
        picture = picture * (1 - disc) + np.array([215, 222, 232]) * disc
    return np.asarray(picture, np.float32)


def laid_over(person: UInt8, behind: Floats) -> UInt8:
    """`person`, BGRA, before a backdrop of the same size."""
    share = person[..., 3:].astype(np.float32) / 255
    picture = person[..., :3] * share + behind * (1 - share)
    return np.asarray(np.clip(picture, 0, 255).round(), np.uint8)

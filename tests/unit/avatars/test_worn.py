"""Spectacles are edges where skin has none; a beard is a dark chin."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.assess import BEARD, FRAMES
from opentalking.avatars.faces import find_faces
from opentalking.avatars.landmarks import FaceFinder
from opentalking.avatars.mouth import upright
from opentalking.avatars.worn import Worn, worn
from opentalking.types import UInt8
from tests import portraits


def wears(finder: FaceFinder, bgr: UInt8) -> Worn:
    return worn(*upright(bgr, find_faces(finder, bgr)[0]))


def test_bare_faces_wear_nothing(finder: FaceFinder) -> None:
    for picture in (portraits.presenter(), portraits.astronaut(), portraits.drawn()):
        found = wears(finder, picture)
        assert found.frames < 0.8 * FRAMES
        assert found.chin > 0.6 * BEARD


def test_spectacles_are_seen(finder: FaceFinder) -> None:
    assert wears(finder, portraits.hopper()).frames > 2 * FRAMES


def test_a_beard_is_seen(finder: FaceFinder) -> None:
    picture = portraits.presenter()
    points = find_faces(finder, picture)[0].points[:, :2]
    outline = np.round(points[[58, 172, 136, 150, 152, 379, 365, 397, 288, 410, 287, 405, 17, 181, 57, 186]]).astype(
        int
    )
    beard = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(beard, [outline], 1)
    share = cv2.GaussianBlur(beard, (0, 0), 3)[..., None]
    hair = np.random.default_rng(0).normal(35, 12, picture.shape[:2])[..., None]
    painted = np.clip(picture * (1 - share) + hair * share, 0, 255).astype(np.uint8)
    assert wears(finder, painted).chin < 1.3 * BEARD

"""Every face is found once, however small it is in the picture, and told from what is none."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.faces import find_faces
from opentalking.avatars.landmarks import FaceFinder
from opentalking.types import UInt8
from tests import portraits


def wall(height: int, width: int) -> UInt8:
    return np.full((height, width, 3), 110, np.uint8)


def test_a_portrait_has_one_face(finder: FaceFinder) -> None:
    (face,) = find_faces(finder, portraits.hopper())
    assert 170 < face.width < 200
    left, top, right, bottom = face.box
    assert 170 < left < 200 and 340 < right < 370 and 120 < top < bottom < 350


def test_two_people_are_found_the_larger_first(finder: FaceFinder) -> None:
    picture = wall(1200, 2000)
    picture[300:812, 200:712], picture[200:800, 1200:1712] = portraits.astronaut(), portraits.hopper()
    widths = [face.width for face in find_faces(finder, picture)]
    assert len(widths) == 2
    assert widths[0] / widths[1] > 1.6


def test_a_face_in_the_distance_is_found_and_measured_in_the_pictures_own_pixels(finder: FaceFinder) -> None:
    picture = wall(2400, 3200)
    picture[1100:1612, 2000:2512] = portraits.astronaut()
    (face,) = find_faces(finder, picture)
    (near,) = find_faces(finder, portraits.astronaut())
    assert np.abs(face.points[:, :2] - near.points[:, :2] - [2000, 1100]).mean() < 2


def test_animals_and_patterns_have_none(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    for picture in (portraits.no_face(), noise, wall(500, 500)):
        assert find_faces(finder, picture) == []


def test_a_very_large_face_fills_the_picture(finder: FaceFinder) -> None:
    large = cv2.resize(portraits.presenter()[60:500, 80:430], None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    (face,) = find_faces(finder, np.asarray(large, np.uint8))
    assert 1100 < face.width < 1300

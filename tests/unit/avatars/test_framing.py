"""The crop keeps the head whole, in the middle and upright, and invents nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from opentalking.avatars.faces import Face, find_faces
from opentalking.avatars.framing import FACE_WIDTH, Framing, frame_face
from opentalking.avatars.landmarks import FaceFinder
from opentalking.types import UInt8
from tests import portraits

LARGEST = (720, 1280)


def framed(finder: FaceFinder, bgr: UInt8, largest: tuple[int, int] = LARGEST) -> tuple[Face, Framing]:
    face = find_faces(finder, bgr)[0]
    return face, frame_face(face, (bgr.shape[1], bgr.shape[0]), largest)


@pytest.mark.parametrize("scale", [0.6, 1.0, 6.0])
def test_faces_of_any_size_come_out_at_one_size_with_room_around(finder: FaceFinder, scale: float) -> None:
    picture = np.asarray(cv2.resize(portraits.hopper(), None, fx=scale, fy=scale), np.uint8)
    face, framing = framed(finder, picture)
    assert framing.width % 2 == framing.height % 2 == 0
    assert 0.75 <= framing.width / framing.height <= 1.0
    points = framing.moved(face.points)
    assert np.linalg.norm(points[454] - points[234]) == pytest.approx(min(FACE_WIDTH, 2 * face.width), rel=0.02)
    assert points[:, 1].min() > 0.15 * framing.height and points[:, 1].max() < 0.75 * framing.height
    assert abs(points[4, 0] / framing.width - 0.5) < 0.1


def test_points_and_pixels_are_moved_alike(finder: FaceFinder) -> None:
    face, framing = framed(finder, portraits.hopper())
    (again,) = find_faces(finder, framing.cut(portraits.hopper()))
    assert np.linalg.norm((again.points - framing.moved(face.points))[:, :2], axis=1).mean() < 3


def test_nothing_outside_the_photo_is_shown(finder: FaceFinder) -> None:
    beside = portraits.presenter()[40:480, 130:]  # the head at the left edge
    _, framing = framed(finder, np.ascontiguousarray(beside))
    corners = np.array([[0, 0], [framing.width, 0], [0, framing.height], [framing.width, framing.height]], float)
    inverse = cv2.invertAffineTransform(framing.matrix)
    source = corners @ inverse[:, :2].T + inverse[:, 2]
    assert source.min() > -1.5
    assert (source <= [beside.shape[1] + 1.5, beside.shape[0] + 1.5]).all()


def test_a_leaning_head_is_straightened_where_the_photo_has_the_corners(finder: FaceFinder) -> None:
    wide = cv2.copyMakeBorder(portraits.hopper(), 300, 300, 300, 300, cv2.BORDER_REFLECT)
    matrix = cv2.getRotationMatrix2D((556, 600), -15, 1.0)
    leaning = np.asarray(cv2.warpAffine(wide, matrix, (1112, 1200)), np.uint8)
    _, framing = framed(finder, leaning)
    assert abs(find_faces(finder, framing.cut(leaning))[0].pose.roll) < 3
    narrow = np.ascontiguousarray(leaning[320:900, 300:820])  # of this, no turned rectangle is left
    face, framing = framed(finder, narrow)
    assert find_faces(finder, framing.cut(narrow))[0].pose.roll == pytest.approx(face.pose.roll, abs=2)


def test_the_setting_bounds_the_picture(finder: FaceFinder) -> None:
    _, framing = framed(finder, portraits.hopper(), (300, 320))
    assert framing.width <= 300 and framing.height <= 320

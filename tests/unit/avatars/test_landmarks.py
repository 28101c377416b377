"""The face is found where it is, whatever was done to the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, FaceFinder
from opentalking.types import Float32, UInt8


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def picture(name: str) -> UInt8:
    return np.asarray(cv2.imread(str(PACKAGED / name / "reference.png")), np.uint8)


def points_of(finder: FaceFinder, bgr: UInt8) -> Float32:
    box = finder.detect(bgr)
    assert box is not None
    return finder.landmarks(bgr, box)


def eye_distance(points: Float32) -> float:
    return float(np.linalg.norm(points[RIGHT_EYE_OUTER, :2] - points[LEFT_EYE_OUTER, :2]))


@pytest.mark.parametrize("name", ["presenter", "drawn"])
def test_eyes_are_above_the_mouth_and_the_chin_is_lowest(finder: FaceFinder, name: str) -> None:
    points = points_of(finder, picture(name))
    eyes, mouth, chin = points[[33, 263], 1].mean(), points[[13, 14], 1].mean(), points[152, 1]
    assert eyes < mouth < chin
    assert points[:, 1].argmax() in (152, 148, 377, 175, 171, 396)


def test_a_turned_and_shrunk_picture_gives_the_same_points_turned_and_shrunk(finder: FaceFinder) -> None:
    original = picture("presenter")
    turn = cv2.getRotationMatrix2D((256, 256), 12, 0.8)
    turned = np.asarray(cv2.warpAffine(original, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    expected = points_of(finder, original)[:, :2] @ turn[:, :2].T + turn[:, 2]
    found = points_of(finder, turned)
    error = np.linalg.norm(found[:, :2] - expected, axis=1)
    assert error.mean() < 0.02 * eye_distance(found)


def test_a_wide_picture_is_found_in_its_own_pixels(finder: FaceFinder) -> None:
    original = picture("presenter")
    wide = cv2.copyMakeBorder(original, 0, 0, 300, 100, cv2.BORDER_REPLICATE)
    shift = points_of(finder, np.asarray(wide, np.uint8))[:, :2] - points_of(finder, original)[:, :2]
    assert np.abs(shift.mean(0) - [300, 0]).max() < 2


def test_no_face_is_found_where_there_is_none(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    assert finder.detect(noise) is None

"""How soft a picture is, and what little is done about it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.models.portrait.adapter import PortraitAvatar
from opentalking.models.portrait.sharpness import sharpened, softness
from opentalking.types import UInt8

PICTURE = np.asarray(cv2.imread(str(PACKAGED / "presenter" / "reference.png")), np.uint8)


def blurred(sigma: float) -> UInt8:
    return np.asarray(cv2.GaussianBlur(PICTURE, (0, 0), sigma), np.uint8)


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
def test_the_blur_of_a_picture_is_told(presenter: PortraitAvatar, sigma: float) -> None:
    points = presenter.rig.landmarks[:, :2]
    assert softness(PICTURE, points) < 0.9
    assert softness(blurred(sigma), points) == pytest.approx(np.hypot(sigma, softness(PICTURE, points)), rel=0.2)


def test_a_soft_picture_gets_steeper_edges_without_halos() -> None:
    soft = blurred(2.0)
    better = sharpened(soft, 2.0)
    steps = [np.sort(np.abs(np.diff(picture.astype(int), axis=0)), axis=None) for picture in (soft, better)]
    steepest = [float(step[-step.size // 100 :].mean()) for step in steps]
    assert steepest[1] > 1.08 * steepest[0]
    around = np.ones((5, 5), np.uint8)
    assert (better <= cv2.dilate(soft, around)).all() and (better >= cv2.erode(soft, around)).all()


def test_a_sharp_picture_stays_as_it_is() -> None:
    assert sharpened(PICTURE, 0.8) is PICTURE

"""JPEG to I420 of the avatar's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from opentalking.models.planes import covering
from opentalking.models.remote.pictures import decode_jpeg
from opentalking.models.remote.wire import WireError


def test_a_picture_of_another_shape_covers_the_avatars_and_keeps_its_middle() -> None:
    wide = np.zeros((100, 300, 3), np.uint8)
    wide[:, 100:200] = 200
    covered = covering(wide, 100, 100)
    assert covered.shape == (100, 100, 3) and covered.min() > 150


def test_what_is_cut_below_is_more_than_above() -> None:
    tall = np.repeat(np.arange(200, dtype=np.uint8)[:, None, None], 3, 2).repeat(100, 1)
    covered = covering(tall, 100, 100)
    assert (covered[0, 0, 0], covered[-1, 0, 0]) == (25, 124)


def test_a_jpeg_becomes_i420_of_the_same_brightness() -> None:
    jpeg = bytes(cv2.imencode(".jpg", np.full((32, 48, 3), 128, np.uint8))[1].tobytes())
    i420 = decode_jpeg(jpeg, 64, 64)
    assert i420.shape == (96, 64)
    assert abs(int(i420[:64].mean()) - 126) <= 1 and abs(int(i420[64:].mean()) - 128) <= 1


@pytest.mark.parametrize("jpeg", [b"", b"not a picture"])
def test_what_is_no_picture_is_refused(jpeg: bytes) -> None:
    with pytest.raises(WireError, match=f"a picture of {len(jpeg)} bytes is not a JPEG"):
        decode_jpeg(jpeg, 64, 64)

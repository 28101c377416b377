"""Fields and planes: the small pieces that every frame rests on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from opentalking.avatars.landmarks import FaceFinder
from opentalking.models.planes import planes, to_i420
from opentalking.models.portrait.adapter import PortraitAvatar
from opentalking.models.portrait.fields import grid, smoothstep, thin_plate
from opentalking.models.portrait.motion import IDLE_FRAMES, POSES, blink_level
from opentalking.models.portrait.rig import build_rig
from opentalking.models.portrait.shapes import LOWER_LIP
from opentalking.types import Float32


def test_a_thin_plate_passes_through_its_points_and_keeps_planes() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 200, (60, 2))
    bumpy = rng.standard_normal((60, 3))
    np.testing.assert_allclose(thin_plate(points, bumpy, points, 0.0), bumpy, atol=1e-4)
    slope = points @ np.array([[0.5], [-0.25]]) + 3
    between = rng.uniform(0, 200, (40, 2))
    expected = between @ np.array([[0.5], [-0.25]]) + 3
    np.testing.assert_allclose(thin_plate(points, slope, between, 2.0), expected, atol=1e-3)


def test_smoothing_keeps_two_points_in_one_place_from_tearing_the_field() -> None:
    points = np.array([[0, 0], [0, 1e-9], [50, 0], [0, 50], [50, 50]])
    values = np.array([[1.0], [-1.0], [0], [0], [0]])
    assert np.abs(thin_plate(points, values, np.array([[0.0, 0.0], [25.0, 25.0]]), 2.0)).max() < 0.1


def test_enlarging_a_grid_puts_its_nodes_back_where_they_were() -> None:
    nodes = grid(0, 0, 10, 8, 4)
    large = cv2.resize(nodes, (40, 32), interpolation=cv2.INTER_LINEAR)
    y, x = np.mgrid[2:30, 2:38]
    np.testing.assert_allclose(large[2:30, 2:38], np.stack([x, y], -1), atol=1e-4)


def test_smoothstep_is_level_outside() -> None:
    np.testing.assert_array_equal(smoothstep(np.array([-1.0, 0.0, 0.5, 1.0, 2.0])), [0, 0, 0.5, 1, 1])


def test_i420_of_a_picture_is_what_opencv_reads_back() -> None:
    smooth = cv2.resize(np.random.default_rng(0).integers(90, 160, (4, 4, 3), dtype=np.uint8), (64, 48))
    back = cv2.cvtColor(to_i420(np.asarray(smooth, np.uint8)), cv2.COLOR_YUV2BGR_I420)
    assert np.abs(back.astype(int) - smooth)[2:-2, 2:-2].mean() < 2


def test_planes_share_the_memory_and_refuse_what_is_not_a_picture() -> None:
    picture = np.zeros((96, 64), np.uint8)
    parts = planes(picture)
    parts.v[:] = 7
    assert picture[-1, -1] == 7 and picture[:80].sum() == 0
    with pytest.raises(ValueError, match="not a contiguous I420 picture"):
        planes(np.zeros((96, 128), np.uint8)[:, ::2])
    with pytest.raises(ValueError, match="I420"):
        planes(np.zeros((95, 64), np.uint8))


def test_poses_and_blinks_fill_the_loop() -> None:
    assert POSES.shape == (IDLE_FRAMES, 4)
    steps = np.abs(np.diff(np.concatenate([POSES, POSES[:1]]), axis=0))
    assert (steps[-1] <= 1.1 * np.maximum(steps[-2], steps[0])).all()
    shut = [pose for pose in range(IDLE_FRAMES) if blink_level(pose) is not None]
    assert 10 <= len(shut) <= 20
    assert blink_level(0) is None and blink_level(IDLE_FRAMES - 1) is None


def test_the_fields_of_the_mouth_end_at_zero(presenter: PortraitAvatar) -> None:
    x0, y0, x1, y1 = presenter.rig.roi.astype(int)
    shape = (-1, (y1 - y0) // 4, (x1 - x0) // 4, 2)
    for field in (presenter.rig.upper.reshape(shape), presenter.rig.lower.reshape(shape)):
        rim = np.concatenate([field[:, 0], field[:, -1], field[:, :, 0], field[:, :, -1]], axis=1)
        assert not rim.any()
        assert np.abs(field).max() > 5


def test_a_picture_with_closed_lips_is_its_own_rest(presenter: PortraitAvatar, drawn: PortraitAvatar) -> None:
    for avatar in (presenter, drawn):
        np.testing.assert_array_equal(avatar.rest, avatar.rig.source)


def test_a_smile_that_shows_teeth_is_closed_at_rest(presenter: PortraitAvatar) -> None:
    """Landmarks as of an open mouth make the rig close it: the lower lip of the rest picture has moved up."""
    bgr = np.asarray(cv2.cvtColor(presenter.rest, cv2.COLOR_YUV2BGR_I420), np.uint8)
    finder = FaceFinder()
    box = finder.detect(bgr)
    assert box is not None
    opened: Float32 = finder.landmarks(bgr, box)
    opened[sorted(LOWER_LIP), 1] += 20
    rig = build_rig(bgr, opened)
    shown = PortraitAvatar(512, 512, rig).rest
    assert (shown[:512] != rig.source[:512]).any()
    closing = rig.lower.reshape(11, -1, 2)[-1]
    assert closing[:, 1].min() < -8

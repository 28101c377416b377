"""Blinks: the eye is seen to shut, and only the eye."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.models.planes import planes, to_i420
from opentalking.models.portrait.adapter import PortraitAvatar
from opentalking.models.portrait.eyes import LEVELS, PATCHES, build_patches, patch_of, wears_spectacles
from opentalking.models.portrait.gaze import GLANCES
from opentalking.models.portrait.shapes import LEFT_EYE, RIGHT_EYE
from opentalking.types import UInt8


def lids_of(patches: UInt8, glance: int = 0) -> list[UInt8]:
    """The patches of one glance, lid ever lower."""
    indices = [patch_of(glance, lid) for lid in range(len(LEVELS))]
    return [patches[index] for index in indices if index is not None]


def bgr_of(avatar: PortraitAvatar) -> UInt8:
    return np.asarray(cv2.cvtColor(avatar.rig.source, cv2.COLOR_YUV2BGR_I420), np.uint8)


def test_a_shut_eye_shows_next_to_no_white(presenter: PortraitAvatar, drawn: PortraitAvatar) -> None:
    for avatar in (presenter, drawn):
        for box, patches in zip(
            avatar.rig.eye_boxes.astype(int), (avatar.rig.eye_right, avatar.rig.eye_left), strict=True
        ):
            x0, y0, x1, y1 = box
            source = planes(avatar.rig.source)
            half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]

            def white(red: np.ndarray, blue: np.ndarray) -> int:
                """Pixels without the warmth that all skin has."""
                return int(((red.astype(int) - blue) < 10).sum())

            open_eye = white(source.v[half], source.u[half])
            shut = planes(lids_of(patches)[-1])
            assert open_eye > 20
            assert white(shut.v, shut.u) < 0.4 * open_eye


def test_a_lid_comes_down_further_from_level_to_level(presenter: PortraitAvatar) -> None:
    x0, y0, x1, y1 = presenter.rig.eye_boxes[0].astype(int)
    eye = planes(presenter.rig.source).y[y0:y1, x0:x1].astype(int)
    changed = [np.abs(planes(patch).y - eye).mean() for patch in lids_of(presenter.rig.eye_right)]
    assert changed == sorted(changed) and changed[0] > 0
    assert len(changed) == len(LEVELS)


def test_every_glance_has_every_lid_and_the_picture_itself_needs_no_patch() -> None:
    found = [patch_of(glance, lid) for glance in range(len(GLANCES)) for lid in (None, *range(len(LEVELS)))]
    assert found == [None, *range(PATCHES)]


def test_spectacles_are_told_from_bare_and_drawn_faces(
    spectacled: PortraitAvatar, presenter: PortraitAvatar, smiling: PortraitAvatar, drawn: PortraitAvatar
) -> None:
    def told(avatar: PortraitAvatar) -> bool:
        return wears_spectacles(bgr_of(avatar), avatar.rig.landmarks[:, :2], float(avatar.rig.eye_distance))

    assert told(spectacled)
    assert not any(told(avatar) for avatar in (presenter, smiling, drawn))


def test_behind_spectacles_a_lid_comes_down_and_the_frame_stays_as_it_is(spectacled: PortraitAvatar) -> None:
    rig = spectacled.rig
    sides = ((rig.eye_boxes[0], rig.eye_right, RIGHT_EYE), (rig.eye_boxes[1], rig.eye_left, LEFT_EYE))
    for box, patches, (upper, lower) in sides:
        x0, y0, x1, y1 = box.astype(int)
        picture = planes(rig.source).y[y0:y1, x0:x1]
        opening = np.zeros(picture.shape, np.uint8)
        outline = rig.landmarks[[*upper, *lower[::-1]], :2] - [x0, y0]
        cv2.fillPoly(opening, [outline.round().astype(np.int32)], 1)
        around = cv2.dilate(opening, np.ones((5, 5), np.uint8)) == 0
        frame = around & (picture < 70)
        assert frame.sum() > 100, "no dark frame to be seen around this eye"
        for patch in lids_of(patches):
            assert np.array_equal(planes(patch).y[around], picture[around])
        shut, dark = planes(lids_of(patches)[-1]).y, (opening == 1) & (picture < 60)
        assert np.median(shut[dark]) > np.median(picture[dark]) + 30, "the iris is still seen"


def test_a_lid_slides_below_a_wide_rim_and_leaves_it_alone(presenter: PortraitAvatar) -> None:
    """Round spectacles drawn onto the presenter."""
    picture, points = bgr_of(presenter), presenter.rig.landmarks[:, :2]
    e = float(presenter.rig.eye_distance)
    rims = np.zeros(picture.shape[:2], np.uint8)
    for lids in (RIGHT_EYE, LEFT_EYE):
        middle = points[[*lids[0], *lids[1]]].mean(0).round().astype(int).tolist()
        cv2.ellipse(rims, middle, (round(0.28 * e), round(0.155 * e)), 0, 0, 360, 1, 4)
    picture[rims == 1] = (30, 25, 25)
    boxes, sides = build_patches(picture, points, e)
    for (x0, y0, x1, y1), patches in zip(boxes, sides, strict=True):
        rim = cv2.dilate(rims[y0:y1, x0:x1], np.ones((3, 3), np.uint8)) == 1
        above = np.arange(rim.shape[0])[:, None] < rim.shape[0] // 2
        before = planes(to_i420(np.ascontiguousarray(picture[y0:y1, x0:x1]))).y.astype(int)
        shut = planes(lids_of(patches)[-1]).y.astype(int)
        assert (rim & above).sum() > 50
        assert np.abs(shut - before)[rim & above].max() <= 2
        assert np.abs(shut - before).max() > 60, "the lid did not move"

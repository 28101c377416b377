"""Glances: the irises move by a couple of pixels, and come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from opentalking.models.planes import planes
from opentalking.models.portrait.adapter import PortraitAdapter, PortraitAvatar
from opentalking.models.portrait.eyes import patch_of
from opentalking.models.portrait.gaze import GLANCES
from opentalking.models.portrait.motion import IDLE_FRAMES, blink_level, glance
from opentalking.models.portrait.shapes import LEFT_EYE, RIGHT_EYE
from opentalking.types import Float32, UInt8


def dark_middle(luma: UInt8) -> Float32:
    """Where the darkest part of an eye is, x and y."""
    weight = np.clip(float(luma.min()) + 30 - luma.astype(np.float32), 0, None)
    ys, xs = np.mgrid[: luma.shape[0], : luma.shape[1]]
    return np.array([(weight * xs).sum(), (weight * ys).sum()], np.float32) / weight.sum()


@dataclass(frozen=True)
class Eye:
    """The opening, luma, in the picture and under a glance; and in the patch, where it is and what changed."""

    still: UInt8
    glancing: UInt8
    changed: tuple[slice, slice]
    opening: tuple[slice, slice]


def eyes_under(avatar: PortraitAvatar, index: int) -> list[Eye]:
    patch = patch_of(index, None)
    assert patch is not None
    rig, found = avatar.rig, []
    sides = ((rig.eye_boxes[0], rig.eye_right, RIGHT_EYE), (rig.eye_boxes[1], rig.eye_left, LEFT_EYE))
    for box, patches, (upper, lower) in sides:
        x0, y0, x1, y1 = box.astype(int)
        points = rig.landmarks[[*upper, *lower], :2] - [x0, y0]
        (left, top), (right, bottom) = points.min(0).astype(int), points.max(0).astype(int) + 1
        still, glancing = planes(rig.source).y[y0:y1, x0:x1], planes(patches[patch]).y
        rows, columns = np.nonzero(still != glancing)
        opening = slice(top, bottom), slice(left, right)
        changed = slice(rows.min(), rows.max()), slice(columns.min(), columns.max())
        found.append(Eye(still[opening], glancing[opening], changed, opening))
    return found


@pytest.mark.parametrize("index", range(1, len(GLANCES)))
def test_both_irises_move_the_way_of_the_glance(presenter: PortraitAvatar, drawn: PortraitAvatar, index: int) -> None:
    for avatar in (presenter, drawn):
        way = np.array(GLANCES[index]) * float(avatar.rig.eye_distance)
        for eye in eyes_under(avatar, index):
            moved = dark_middle(eye.glancing) - dark_middle(eye.still)
            assert np.sign(moved[0]) == np.sign(way[0])
            # lashes that the iris moves under count as dark, too: half a pixel
            assert 0.4 * abs(way[0]) < abs(moved[0]) < 1.3 * abs(way[0]) + 0.5


@pytest.mark.parametrize("index", range(1, len(GLANCES)))
def test_a_glance_changes_nothing_but_the_opening_of_the_eye(presenter: PortraitAvatar, index: int) -> None:
    for eye in eyes_under(presenter, index):
        for changed, opening in zip(eye.changed, eye.opening, strict=True):
            assert opening.start - 1 <= changed.start < changed.stop <= opening.stop + 1


def test_the_loop_glances_each_way_comes_back_and_joins() -> None:
    shown = [glance(pose) for pose in range(IDLE_FRAMES)]
    assert set(shown) == set(range(len(GLANCES)))
    assert shown[0] == shown[-1] == 0
    assert shown.count(0) > IDLE_FRAMES / 2  # mostly it looks at you
    changes = [pose for pose in range(IDLE_FRAMES) if shown[pose] != shown[pose - 1]]
    assert sum(blink_level(pose) is not None for pose in changes) >= 3  # under cover of a blink


def test_eyes_look_as_in_the_picture_again_after_a_glance(adapter: PortraitAdapter, presenter: PortraitAvatar) -> None:
    face = presenter.rest.copy()
    presenter.head.eyes(45, planes(face))
    assert (face != presenter.rest).any()
    face = presenter.rest.copy()
    presenter.head.eyes(60, planes(face))
    assert np.array_equal(face, presenter.rest)

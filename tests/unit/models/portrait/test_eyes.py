"""Blinks: the eye is seen to shut, and only the eye."""

from __future__ import annotations

import numpy as np

from opentalking.models.portrait.adapter import PortraitAvatar
from opentalking.models.portrait.eyes import LEVELS
from opentalking.models.portrait.planes import planes


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
            shut = planes(patches[len(LEVELS) - 1])
            assert open_eye > 20
            assert white(shut.v, shut.u) < 0.4 * open_eye


def test_a_lid_comes_down_further_from_level_to_level(presenter: PortraitAvatar) -> None:
    x0, y0, x1, y1 = presenter.rig.eye_boxes[0].astype(int)
    eye = planes(presenter.rig.source).y[y0:y1, x0:x1].astype(int)
    changed = [np.abs(planes(patch).y - eye).mean() for patch in presenter.rig.eye_right]
    assert changed == sorted(changed) and changed[0] > 0
    assert len(changed) == len(LEVELS)

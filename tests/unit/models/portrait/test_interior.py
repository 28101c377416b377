"""What an open mouth shows: no light of its own, at small openings least."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from opentalking.models.planes import planes
from opentalking.models.portrait.adapter import PortraitAvatar
from opentalking.models.portrait.interior import draw_interior
from opentalking.models.portrait.shapes import LOWER_LIP
from opentalking.models.portrait.visemes import mouth_of
from opentalking.types import Float32


@dataclass(frozen=True)
class Inside:
    """Luma, and red and blue against grey, of all pixels that are wholly between the lips."""

    luma: Float32
    red: Float32
    blue: Float32


def inside(avatar: PortraitAvatar, mouth: Float32) -> Inside:
    canvas = avatar.rest.copy()
    face = planes(canvas)
    lines = avatar.lips.draw(mouth, face)
    draw_interior(avatar.rig, mouth, lines, face)
    rows = np.arange(avatar.height)[:, None]
    between = np.zeros((avatar.height, avatar.width), bool)
    columns = slice(lines.x0, lines.x0 + len(lines.upper))
    between[:, columns] = (rows > lines.upper + 1) & (rows < lines.lower - 1)
    whole = between[::2, ::2] & between[1::2, ::2] & between[::2, 1::2] & between[1::2, 1::2]
    return Inside(
        face.y[between].astype(np.float32),
        face.v[whole].astype(np.float32) - 128,
        face.u[whole].astype(np.float32) - 128,
    )


def lip_luma(avatar: PortraitAvatar) -> float:
    x, y = avatar.rig.landmarks[sorted(LOWER_LIP), :2].astype(int).T
    return float(np.median(planes(avatar.rest).y[y, x]))


@pytest.mark.parametrize(("viseme", "share"), [("SS", 0.6), ("I", 0.55), ("E", 0.35), ("aa", 0.2)])
def test_at_small_openings_the_teeth_are_no_brighter_than_the_lips_and_never_grey(
    presenter: PortraitAvatar, spectacled: PortraitAvatar, soft: PortraitAvatar, viseme: str, share: float
) -> None:
    for avatar in (presenter, spectacled, soft):
        little = inside(avatar, mouth_of(viseme) * np.float32(share))
        assert little.luma.size > 20
        assert np.percentile(little.luma, 75) < lip_luma(avatar)
        assert np.median(little.red) > 3 and np.median(little.red - little.blue) > 8


def test_teeth_come_into_the_light_as_the_mouth_opens(
    presenter: PortraitAvatar, spectacled: PortraitAvatar, smiling: PortraitAvatar
) -> None:
    for avatar in (presenter, spectacled, smiling):
        little, wide = (inside(avatar, mouth_of("E") * np.float32(share)) for share in (0.35, 1))
        assert np.percentile(wide.luma, 95) > np.percentile(little.luma, 95) + 15


def test_the_tongue_is_seen_for_n_and_th_where_k_shows_the_dark(presenter: PortraitAvatar) -> None:
    """Between the teeth, at the same opening."""
    redness = {viseme: float(np.mean(inside(presenter, mouth_of(viseme)).red)) for viseme in ("nn", "TH", "kk")}
    assert redness["nn"] > redness["kk"] + 1 and redness["TH"] > redness["kk"] + 0.5


def test_the_lips_of_a_closed_mouth_are_not_touched(presenter: PortraitAvatar) -> None:
    canvas = presenter.rest.copy()
    mouth = np.zeros_like(mouth_of("aa"))
    draw_interior(presenter.rig, mouth, presenter.lips.draw(mouth, planes(canvas)), planes(canvas))
    assert np.array_equal(canvas, presenter.rest)


def test_the_opening_has_no_hard_edge(soft: PortraitAvatar, presenter: PortraitAvatar) -> None:
    """Of a soft picture: its teeth are as soft as its lips."""

    def steepest(avatar: PortraitAvatar) -> float:
        teeth = avatar.rig.teeth_upper[..., 0]
        return float(np.percentile(np.abs(cv2.Sobel(teeth, cv2.CV_32F, 1, 0)), 98)) / float(teeth.max())

    assert steepest(soft) < 0.75 * steepest(presenter)

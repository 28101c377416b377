"""A smiling picture speaks without its smile, and its open mouth can close."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.landmarks import FaceFinder, mouth_opening
from opentalking.models.planes import planes
from opentalking.models.portrait.adapter import PortraitAdapter, PortraitAvatar
from opentalking.models.portrait.rest import smile_of
from opentalking.models.portrait.shapes import INNER_LOWER, INNER_UPPER, fit_shapes
from opentalking.models.portrait.visemes import SHAPES, mouth_of
from opentalking.types import Float32, UInt8, i420_shape

INNER_CORNERS = (78, 308)


def drawn_with(adapter: PortraitAdapter, avatar: PortraitAvatar, mouth: Float32) -> UInt8:
    out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
    adapter.compose_frame(adapter.open_stream(avatar), 0, mouth, out)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_YUV2BGR_I420), np.uint8)


def seen(picture: UInt8) -> Float32:
    finder = FaceFinder()
    box = finder.detect(picture)
    assert box is not None
    return finder.landmarks(picture, box)


def height_to_width(points: Float32) -> float:
    right, left = points[list(INNER_CORNERS), :2]
    return float(np.linalg.norm(points[13, :2] - points[14, :2]) / np.linalg.norm(right - left))


def test_a_smile_is_told_from_a_face_at_rest(
    smiling: PortraitAvatar, presenter: PortraitAvatar, spectacled: PortraitAvatar
) -> None:
    amount = {
        avatar: smile_of(avatar.rig.landmarks[:, :2], fit_shapes(avatar.rig.landmarks))
        for avatar in (smiling, presenter, spectacled)
    }
    assert amount[smiling] > 0.8
    assert max(amount[presenter], amount[spectacled]) < 0.2


def test_a_wide_vowel_of_a_smiling_picture_opens_downward_and_is_no_grin(
    adapter: PortraitAdapter, smiling: PortraitAvatar
) -> None:
    assert height_to_width(seen(drawn_with(adapter, smiling, mouth_of("aa")))) > 0.34
    rig = smiling.rig
    corners = rig.seam[[0, -1]] + np.tensordot(mouth_of("aa")[: len(SHAPES)], rig.seam_lower[:-1, [0, -1]], 1)
    assert np.ptp(corners[:, 0]) < 0.8 * np.ptp(rig.seam[:, 0])


def test_an_open_picture_is_at_rest_with_its_mouth_closed_and_no_teeth_between_the_lips(
    adapter: PortraitAdapter, smiling: PortraitAvatar
) -> None:
    assert mouth_opening(smiling.rig.landmarks) > 0.1
    assert mouth_opening(seen(drawn_with(adapter, smiling, mouth_of("sil")))) < 0.035
    line = np.round(smiling.rig.seam[1:-1]).astype(int)
    luma = planes(smiling.rest).y
    on_line = np.array([luma[y, x] for x, y in line], float)
    beside = np.array([min(luma[y - 6, x], luma[y + 6, x]) for x, y in line], float)
    assert (on_line < beside + 12).all()


def test_the_teeth_that_a_picture_shows_are_the_teeth_it_speaks_with(smiling: PortraitAvatar) -> None:
    """They lie where the picture has them; a face whose mouth is closed gets rendered ones."""
    rig = smiling.rig
    teeth, (middle, top) = rig.teeth_upper, rig.teeth_at
    own = rig.landmarks[[INNER_UPPER[5], INNER_LOWER[5]], :2].mean(0)
    x, y = round(float(own[0] - middle + teeth.shape[1] / 2)), round(float(own[1] - top)) + 1
    around = teeth[y - 3 : y + 4, x - 12 : x + 13]
    assert around[..., 3].mean() > 0.8
    assert around[..., 0].mean() / around[..., 3].mean() > 150
    # canines and molars are in the shade of the cheeks: the ends are free
    assert teeth[..., 3][:, [0, 1, -2, -1]].mean() < 0.2

"""The patch: nothing but the mouth, soft at its border, in the picture's own colour."""

from __future__ import annotations

import numpy as np
import pytest

from opentalking.avatars.landmarks import FaceFinder
from opentalking.models.planes import planes, to_i420
from opentalking.models.wav2lip.adapter import network_crop
from opentalking.models.wav2lip.paste import MODES, MaskStyle, MouthPaste
from opentalking.models.wav2lip.references import Reference, read_references
from opentalking.types import UInt8
from tests.unit.models.wav2lip.bundles import copied

WHITE = np.full((96, 96, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    bundle = copied(tmp_path_factory.mktemp("bundle"))
    (reference,) = read_references(bundle, FaceFinder(), (0, 10, 0, 0), 1)
    return reference


def pasted(reference: Reference, style: MaskStyle, painted: UInt8, opacity: float = 1) -> tuple[UInt8, UInt8]:
    """The picture before and after, I420."""
    before = to_i420(reference.picture)
    after = before.copy()
    MouthPaste(reference, style).draw(painted, opacity, planes(after))
    return before, after


@pytest.mark.parametrize("mode", MODES)
def test_only_the_mouths_rectangle_is_touched(reference: Reference, mode: str) -> None:
    before, after = pasted(reference, MaskStyle(mode), WHITE)
    x0, y0, x1, y1 = MouthPaste(reference, MaskStyle(mode)).rectangle
    assert all(edge % 2 == 0 for edge in (x0, y0, x1, y1))
    for plane, scale in (("y", 1), ("u", 2), ("v", 2)):
        rows, columns = np.nonzero(getattr(planes(before), plane) != getattr(planes(after), plane))
        assert y0 <= rows.min() * scale and rows.max() * scale < y1
        assert x0 <= columns.min() * scale and columns.max() * scale < x1
    left, top, right, bottom = reference.box
    assert left < x0 and x1 < right and (top + bottom) // 2 < y0 + 2 and y1 < bottom


@pytest.mark.parametrize("mode", MODES)
def test_the_lips_are_replaced_whole_and_the_border_is_soft(reference: Reference, mode: str) -> None:
    before, after = (planes(frame).y.astype(int) for frame in pasted(reference, MaskStyle(mode), WHITE))
    x, y = np.rint(reference.lips.mean(0)).astype(int)
    x0, _, x1, _ = MouthPaste(reference, MaskStyle(mode)).rectangle
    assert after[y, x] > 210
    gained = (after - before)[y, x0:x1]
    assert gained[0] < 12 and gained[-1] < 12
    assert np.abs(np.diff(gained)).max() < 70


def test_the_better_mask_reaches_further_the_more_it_is_dilated(reference: Reference) -> None:
    def height(dilation: float) -> int:
        _, y0, _, y1 = MouthPaste(reference, MaskStyle("easy_improved", dilation)).rectangle
        return y1 - y0

    assert height(1.5) < height(2.5) < height(3.5)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_face_laid_over_itself_is_hardly_seen(reference: Reference, mode: str) -> None:
    same = network_crop(reference.picture, reference.box, 256)
    before, after = pasted(reference, MaskStyle(mode), same)
    x0, y0, x1, y1 = MouthPaste(reference, MaskStyle(mode)).rectangle
    apart = np.abs(planes(before).y.astype(int) - planes(after).y)[y0:y1, x0:x1]
    assert apart.mean() < 1.5


def test_a_tint_of_the_network_is_taken_back_in_part(reference: Reference) -> None:
    same = network_crop(reference.picture, reference.box, 256)
    tinted = np.clip(same.astype(int) - 12, 0, 255).astype(np.uint8)

    def darker(mode: str) -> float:
        before, after = pasted(reference, MaskStyle(mode), tinted)
        x, y = np.rint(reference.lips.mean(0)).astype(int)
        around = np.s_[y - 4 : y + 4, x - 4 : x + 4]
        return float((planes(before).y[around].astype(int) - planes(after).y[around]).mean())

    assert darker("basic") > 7
    assert abs(darker("easy_improved")) < 0.5 * darker("basic")


def test_half_the_opacity_is_half_the_change(reference: Reference) -> None:
    before, after = pasted(reference, MaskStyle(), WHITE)
    _, half = pasted(reference, MaskStyle(), WHITE, opacity=0.5)
    expected = (before.astype(int) + after) / 2
    assert np.abs(half - expected).max() <= 1.01


def test_a_crop_at_odd_pixels_is_pasted_where_it_was_cut(reference: Reference) -> None:
    left, top, right, bottom = reference.box
    odd = Reference(reference.picture, (left | 1, top | 1, right | 1, bottom | 1), reference.lips)
    before, after = pasted(odd, MaskStyle("basic"), network_crop(odd.picture, odd.box, 256))
    assert np.abs(before.astype(int) - after).mean() < 0.2

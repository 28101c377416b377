"""A patch is laid where its mask says, as much as it says, on even edges, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from opentalking.models.patch import SoftPatch, soft_patch
from opentalking.models.planes import centred, planes, to_i420
from opentalking.types import UInt8

GREY: UInt8 = to_i420(np.full((32, 48, 3), 90, np.uint8))
ORANGE = centred(np.full((32, 48, 3), (40, 120, 230), np.uint8))


def mask_of(left: int, top: int, right: int, bottom: int, weight: float = 1.0) -> SoftPatch:
    mask = np.zeros((32, 48), np.float32)
    mask[top:bottom, left:right] = weight
    return soft_patch(mask)


def laid(patch: SoftPatch, share: float = 1.0) -> UInt8:
    out = GREY.copy()
    left, top, right, bottom = patch.box
    patch.lay(np.ascontiguousarray(ORANGE[: bottom - top, : right - left]), share, planes(out))
    return out


def test_a_box_has_even_edges_around_all_that_is_seen() -> None:
    assert mask_of(11, 5, 20, 9).box == (10, 4, 20, 10)
    assert mask_of(0, 0, 48, 32).box == (0, 0, 48, 32)
    with pytest.raises(ValueError, match="nothing of the patch"):
        mask_of(0, 0, 48, 32, 1 / 1024)


def test_a_box_keeps_inside_of_what_there_is_to_lay() -> None:
    mask = np.ones((32, 48), np.float32)
    assert soft_patch(mask, (5, 3, 21, 17)).box == (6, 4, 20, 16)


def test_a_whole_patch_replaces_and_half_of_one_mixes() -> None:
    whole, orange = laid(mask_of(10, 4, 20, 10)), to_i420(np.full((32, 48, 3), (40, 120, 230), np.uint8))
    for name, scale in (("y", 1), ("u", 2), ("v", 2)):
        before, after, drawn = (getattr(planes(frame), name).astype(int) for frame in (GREY, whole, orange))
        inside = np.s_[4 // scale : 10 // scale, 10 // scale : 20 // scale]
        np.testing.assert_array_equal(after[inside], drawn[inside])
        after[inside] = before[inside]
        np.testing.assert_array_equal(after, before)
    for mixed in (laid(mask_of(10, 4, 20, 10, 0.5)), laid(mask_of(10, 4, 20, 10), share=0.5)):
        middle = (GREY.astype(int) + whole) / 2
        assert np.abs(mixed - middle).max() <= 0.5


def test_what_is_brighter_than_white_is_white() -> None:
    out = GREY.copy()
    patch = mask_of(10, 4, 20, 10)
    patch.lay(np.full((6, 10, 3), 500, np.float32), 1.0, planes(out))
    assert planes(out).y[5, 12] == planes(out).u[3, 6] == 255

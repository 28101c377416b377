"""A face goes upright into the crop and comes back to where it was."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import FaceFinder
from opentalking.models.adapter import ModelError
from opentalking.models.planes import to_i420
from opentalking.models.quicktalk.crop import Repair, cut_face, network_face, paste, read_repair
from opentalking.models.quicktalk.network import SIDE
from opentalking.types import Float32, UInt8

EYES = np.array([[17, 20], [58, 20]]) * 2.8 * [SIDE / 210, SIDE / 280]


@pytest.fixture(scope="module")
def repair(quicktalk_root: Path) -> Repair:
    return read_repair(quicktalk_root / "checkpoints" / "repair.npy")


def portrait(degrees: float = 0.0) -> tuple[UInt8, Float32]:
    """The presenter, turned, and its landmarks."""
    picture = np.asarray(cv2.imread(str(PACKAGED / "presenter" / "reference.png")), np.uint8)
    turn = cv2.getRotationMatrix2D((256, 256), degrees, 1)
    picture = np.asarray(cv2.warpAffine(picture, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    finder = FaceFinder()
    box = finder.detect(picture)
    assert box is not None
    return picture, finder.landmarks(picture, box)


@pytest.mark.parametrize("degrees", [0, 12])
def test_the_eyes_come_to_where_the_network_was_taught_them(repair: Repair, degrees: float) -> None:
    picture, points = portrait(degrees)
    crop = cut_face(picture, points, repair)
    eyes = np.array([points[list(group), :2].mean(0) for group in ((33, 133, 159, 145), (263, 362, 386, 374))])
    placed = eyes @ crop.to_crop[:, :2].T + crop.to_crop[:, 2]
    assert np.abs(placed - EYES).max() < 6


def test_a_face_that_is_pasted_back_unchanged_is_not_seen_and_touches_only_its_box(repair: Repair) -> None:
    picture, points = portrait(7)
    crop = cut_face(picture, points, repair)
    i420 = to_i420(picture)
    out = i420.copy()
    image = crop.face.transpose(2, 0, 1).astype(np.float32) / 255
    paste(image, crop, 1.0, out)
    difference = np.abs(out.astype(int) - i420)
    assert np.percentile(difference, 99.9) <= 8 and difference.mean() < 0.1
    paste(np.ones((3, SIDE, SIDE), np.float32), crop, 1.0, out)
    rows, columns = np.nonzero(out[:512] != i420[:512])
    x0, y0, x1, y1 = crop.patch.box
    assert x0 <= columns.min() and columns.max() < x1 and y0 <= rows.min() and rows.max() < y1
    assert np.abs(np.diff(out[:512, 256].astype(int)))[y0 - 4 : y0 + 8].max() < 30, "an edge is seen"


def test_half_a_share_is_half_way(repair: Repair) -> None:
    picture, points = portrait()
    crop, i420 = cut_face(picture, points, repair), to_i420(picture)
    none, half, whole = i420.copy(), i420.copy(), i420.copy()
    for share, out in ((0.0, none), (0.5, half), (1.0, whole)):
        paste(np.zeros((3, SIDE, SIDE), np.float32), crop, share, out)
    assert np.array_equal(none, i420)
    assert np.abs(half.astype(int) - (i420.astype(int) + whole) / 2).max() <= 1


@pytest.mark.parametrize("inverted", [False, True])
def test_a_mask_means_the_same_whichever_way_it_is_painted(tmp_path: Path, inverted: bool) -> None:
    mask = np.zeros((1, SIDE, SIDE), np.float32)
    mask[:, SIDE // 2 :, 40:-40] = 1
    np.save(tmp_path / "repair.npy", 1 - mask if inverted else mask)
    repair = read_repair(tmp_path / "repair.npy")
    assert repair.kept[200, 128] == 0 and repair.kept[40, 128] == 1
    assert repair.shown[192, 128] > 0.9 and repair.shown[40, 128] == 0
    picture, points = portrait()
    face = network_face(cut_face(picture, points, repair), repair)
    assert face.shape == (7, SIDE, SIDE)
    assert face[1:4, 200, 128].max() == 0 and np.array_equal(face[1:4, 40], face[4:7, 40])


def test_a_mask_that_is_none_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "repair.npy", np.zeros((3, 100, 100)))
    with pytest.raises(ModelError, match=r"shape \(3, 100, 100\): a mask of 256 x 256 is needed"):
        read_repair(tmp_path / "repair.npy")
    (tmp_path / "repair.npy").write_bytes(b"no array")
    with pytest.raises(ModelError, match="cannot be read as an array"):
        read_repair(tmp_path / "repair.npy")

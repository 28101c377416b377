"""Rigs are kept on disk, and a damaged one is made again."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from opentalking.models.portrait.adapter import PortraitAvatar
from opentalking.models.portrait.cache import cached_rig, rig_key
from opentalking.models.portrait.rig import Rig


def never() -> Rig:
    raise AssertionError("built although it was cached")


def test_a_rig_comes_back_as_it_was(tmp_path: Path, presenter: PortraitAvatar) -> None:
    made = cached_rig(tmp_path, "key", lambda: presenter.rig)
    again = cached_rig(tmp_path, "key", never)
    for field in fields(Rig):
        stored, original = getattr(again, field.name), getattr(made, field.name)
        assert stored.dtype == original.dtype
        np.testing.assert_array_equal(stored, original)
    assert [path.name for path in tmp_path.iterdir()] == ["key.npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 but no more", b"\x00" * 5000])
def test_a_damaged_rig_is_made_again_and_kept(tmp_path: Path, presenter: PortraitAvatar, damage: bytes) -> None:
    (tmp_path / "key.npz").write_bytes(damage)
    cached_rig(tmp_path, "key", lambda: presenter.rig)
    cached_rig(tmp_path, "key", never)


def test_a_rig_cut_short_is_made_again(tmp_path: Path, presenter: PortraitAvatar) -> None:
    cached_rig(tmp_path, "key", lambda: presenter.rig)
    whole = (tmp_path / "key.npz").read_bytes()
    (tmp_path / "key.npz").write_bytes(whole[: len(whole) // 2])
    built = []
    cached_rig(tmp_path, "key", lambda: built.append(1) or presenter.rig)
    assert built == [1]


def test_a_folder_that_cannot_be_written_is_no_reason_to_fail(tmp_path: Path, presenter: PortraitAvatar) -> None:
    (tmp_path / "file").write_text("in the way")
    assert cached_rig(tmp_path / "file" / "cache", "key", lambda: presenter.rig) is presenter.rig


def test_the_key_tells_pictures_sizes_teeth_and_films_apart() -> None:
    keys = {
        rig_key(picture, width, 512, flat, filmed)
        for picture in (b"a", b"b")
        for width in (512, 256)
        for flat in (True, False)
        for filmed in (True, False)
    }
    assert len(keys) == 16

"""LiveTalking's coordinates: numbers are read, and nothing else is."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opentalking.avatars import AvatarError
from opentalking.models.wav2lip.coords import read_coords, share_of


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("number", [int, np.int64, np.int32])
def test_numbers_are_read_and_put_in_our_order(tmp_path: Path, number: Any, protocol: int) -> None:
    path = tmp_path / "coords.pkl"
    path.write_bytes(pickle.dumps([tuple(number(part) for part in (10, 90, 20, 80))], protocol))
    assert read_coords(path) == [(20, 10, 80, 90)]


def test_numbers_of_the_older_numpy_are_read(tmp_path: Path) -> None:
    path = tmp_path / "coords.pkl"
    told = pickle.dumps([(np.int64(10), np.int64(90), np.int64(20), np.int64(80))], 2)
    assert b"numpy._core.multiarray" in told
    path.write_bytes(told.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_coords(path) == [(20, 10, 80, 90)]


class RunsCode:
    """What unpickling it would do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


def test_code_in_it_is_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "coords.pkl", tmp_path / "was here"
    path.write_bytes(pickle.dumps([RunsCode(marker)]))
    with pytest.raises(AvatarError, match=r"coords\.pkl: not a list of .*: it names "):
        read_coords(path)
    assert not marker.exists()


@pytest.mark.parametrize("value", [[], [(1, 2, 3)], [(90, 10, 20, 80)], {"a": 1}, 7])
def test_what_is_no_list_of_boxes_is_refused(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "coords.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(AvatarError, match=r"coords\.pkl: not a list of \(top, bottom, left, right\)"):
        read_coords(path)


def test_a_box_beyond_the_picture_is_cut() -> None:
    assert share_of((-5, 10, 50, 120), 100, 100) == [0, 0.1, 0.5, 1]

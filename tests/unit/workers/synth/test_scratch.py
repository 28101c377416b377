"""What the synth-server makes of pictures is gone when it is, however it went."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from workers.synth.scratch import scratch_folder


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_goes_with_its_user(tmp_path: Path) -> None:
    with scratch_folder() as folder:
        (folder / "picture.png").write_bytes(b"face")
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_others_use_is_not(tmp_path: Path) -> None:
    left = tmp_path / "opentalking-synth-dead"
    left.mkdir()
    (left / "picture.png").write_bytes(b"face")
    with scratch_folder() as used, scratch_folder() as other:
        assert sorted(tmp_path.iterdir()) == sorted([used, other])


def test_a_link_in_the_place_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (tmp_path / "opentalking-synth-trap").symlink_to(precious)
    with scratch_folder():
        assert precious.is_dir()

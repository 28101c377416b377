"""The idle loop of an avatar is rendered once, and again when its files change."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.models import idle_clip
from opentalking.models.idle_clip import clip_path, is_rendered, prepare_avatar
from opentalking.rtc.idle import map_clip
from tests.support.mirror import DARK, MirrorAdapter


def test_the_clip_holds_the_whole_loop_and_is_not_rendered_twice(tmp_path: Path) -> None:
    adapter = MirrorAdapter()
    bundle = PACKAGED / "presenter"
    avatar = adapter.load_avatar(bundle)
    path = clip_path(tmp_path, adapter, bundle)
    assert path.name.startswith("mirror-presenter-")
    assert not is_rendered(path, avatar)
    prepare_avatar(tmp_path, adapter, bundle)
    assert is_rendered(path, avatar)
    clip = map_clip(path, avatar.width, avatar.height)
    assert clip.shape == (avatar.idle_frames, 768, 512)
    assert np.all(clip[-1, :512] == DARK)
    rendered_at = path.stat().st_mtime_ns
    prepare_avatar(tmp_path, adapter, bundle)
    assert path.stat().st_mtime_ns == rendered_at


def test_another_picture_has_another_clip(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(PACKAGED / "presenter", tmp_path / "presenter"))
    before = clip_path(tmp_path, MirrorAdapter(), bundle)
    (bundle / "preview.png").write_bytes(b"another")
    assert clip_path(tmp_path, MirrorAdapter(), bundle) != before


def test_another_way_to_draw_has_another_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clip_path(tmp_path, MirrorAdapter(), PACKAGED / "presenter")
    changed = tmp_path / "planes.py"
    changed.write_text("# drawn otherwise")
    monkeypatch.setattr(idle_clip, "_SHARED", [changed])
    assert clip_path(tmp_path, MirrorAdapter(), PACKAGED / "presenter") != before


def test_a_clip_takes_the_place_of_the_one_before_it_and_of_no_other(tmp_path: Path) -> None:
    adapter, bundle = MirrorAdapter(), PACKAGED / "presenter"
    path = clip_path(tmp_path, adapter, bundle)
    path.parent.mkdir()
    before, others = (
        "mirror-presenter-0123456789ab.i420",
        [
            "wav2lip-presenter-0123456789ab.i420",
            "mirror-presenter-2-0123456789ab.i420",
            "mirror-presenter-2-0-0123456789ab.i420",
        ],
    )
    for name in (before, *others):
        (path.parent / name).touch()
    prepare_avatar(tmp_path, adapter, bundle)
    assert {found.name for found in path.parent.iterdir()} == {path.name, *others}

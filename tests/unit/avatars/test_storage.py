"""Avatars that people made may take so much of the disk, and nothing of them is left when they are gone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from opentalking.avatars.build import Order, build, consent_now
from opentalking.avatars.custom import leave
from opentalking.avatars.incoming import ABANDONED_S
from opentalking.avatars.storage import AvatarsFull, Use, require_room, sweep, use_of
from opentalking.config import Settings
from tests import portraits
from tests.unit.avatars.test_bundle import write_bundle

DIGEST = "0123456789ab"
RIG = DIGEST + "0123456789abcdef0123"


def cached(tmp_path: Path, name: str, size: int = 0, age_s: float = 0) -> Path:
    path = tmp_path / "cache" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_use_is_that_of_bundles_and_of_what_models_keep(tmp_path: Path, folder: Path, settings: Settings) -> None:
    assert use_of(settings) == Use(0, 0)
    bundle = size_of(write_bundle(folder))
    for mine in (f"idle/portrait-ada-{DIGEST}.i420", f"idle/wav2lip-ada-{DIGEST}.i420", f"portrait/ada-{RIG}.npz"):
        cached(tmp_path, mine, 1000)
    for other in (f"idle/portrait-presenter-{DIGEST}.i420", f"portrait/x-ada-{RIG}.npz", "voices/ada"):
        cached(tmp_path, other, 50)
    assert use_of(settings) == Use(1, bundle + 3000)
    leave(settings, "ada")
    assert use_of(settings) == Use(0, bundle + 3000), "it makes room for another, not yet for bytes"


def test_another_is_refused_with_the_figures(tmp_path: Path, folder: Path) -> None:
    write_bundle(folder)
    bundle = size_of(folder)
    cached(tmp_path, f"idle/portrait-ada-{DIGEST}.i420", 7_000_000)
    require_room(Settings(run_dir=str(tmp_path), max_custom_avatars=2))
    with pytest.raises(AvatarsFull) as refused:
        require_room(Settings(run_dir=str(tmp_path), max_custom_avatars=1))
    assert str(refused.value) == (
        "1 of 1 avatars that may be made are there (OPENTALKING_MAX_CUSTOM_AVATARS); delete one first"
    )
    with pytest.raises(AvatarsFull, match=r"nobody may make avatars here \(OPENTALKING_MAX_CUSTOM_AVATARS=0\)"):
        require_room(Settings(run_dir=str(tmp_path), max_custom_avatars=0))
    with pytest.raises(AvatarsFull) as refused:
        require_room(Settings(run_dir=str(tmp_path), max_custom_avatars_bytes=7_000_000))
    assert str(refused.value) == (
        "the avatars that people made take 7.0 MB of the disk and may take 7.0 MB "
        "(OPENTALKING_MAX_CUSTOM_AVATARS_BYTES); delete one first"
    )
    place = folder / ".incoming" / "tmp1"
    place.mkdir(parents=True)
    growing = write_bundle(place, name="bob")
    cached(tmp_path, f"idle/portrait-bob-{DIGEST}.i420", 2_000_000)
    enough = 9_000_000 + bundle + size_of(growing)
    require_room(Settings(run_dir=str(tmp_path), max_custom_avatars_bytes=enough), growing)
    with pytest.raises(AvatarsFull, match=r"may take 9\.0 MB .*, this one needs 2\.0 MB; delete"):
        require_room(Settings(run_dir=str(tmp_path), max_custom_avatars_bytes=enough - 1), growing)


def test_an_avatar_that_turns_out_too_large_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(portraits.jpeg(portraits.presenter()))
    tight = Settings(run_dir=str(tmp_path), max_custom_avatars_bytes=1000)

    def prepare(bundle: Path) -> None:
        cached(tmp_path, f"idle/portrait-{bundle.name}-{DIGEST}.i420", 5000)

    order = Order(source=photo, folder=folder, consent=consent_now("me"), avatar_id="ada")
    with pytest.raises(AvatarsFull, match="this one needs"):
        build(order, tight, prepare=prepare)
    assert [path.name for path in folder.iterdir()] == [".incoming"]
    assert list((folder / ".incoming").iterdir()) == list((tmp_path / "cache" / "idle").iterdir()) == []
    elsewhere = Order(source=photo, folder=tmp_path / "elsewhere", consent=consent_now("me"), avatar_id="ada")
    assert build(elsewhere, tight).bundle.id == "ada", "a folder that people do not upload to has no limit"


def test_a_sweep_takes_what_nobody_owns_and_nothing_else(tmp_path: Path, folder: Path, settings: Settings) -> None:
    write_bundle(folder)
    write_bundle(folder, name="leaver")
    leave(settings, "leaver")
    (folder / ".incoming" / "left").mkdir(parents=True)
    write_bundle(folder / ".incoming" / "left", name="half")
    long = ABANDONED_S + 60
    orphans = [f"idle/portrait-gone-{DIGEST}.i420", f"portrait/gone-{RIG}.npz", "idle/.clip-x1", "portrait/tmpx.tmp"]
    owned = [
        f"idle/portrait-ada-{DIGEST}.i420",
        f"idle/portrait-leaver-{DIGEST}.i420",
        f"idle/wav2lip-presenter-{DIGEST}.i420",
        f"portrait/presenter-{RIG}.npz",
        f"voices/gone-{RIG}.npz",
        f"portrait/{RIG}.npz",
    ]
    for name in (*orphans, *owned):
        cached(tmp_path, name, age_s=long)
    young = [f"idle/portrait-new-{DIGEST}.i420", "idle/.clip-x2"]
    for name in young:
        cached(tmp_path, name)
    sweep(settings)
    left = {str(path.relative_to(tmp_path / "cache")) for path in (tmp_path / "cache").glob("*/*")}
    assert left == {*owned, *young}
    assert list((folder / ".incoming").iterdir()) == []
    assert (folder / "ada").is_dir()

"""Avatars that people made: named, kept apart from the packaged ones, and deleted with all that is kept of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentalking.avatars import AvatarError, AvatarNotFound, find_avatar, list_avatars, list_bundles
from opentalking.avatars.build import Order, build, consent_now
from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.custom import AvatarProtected, delete_avatar, finish_deletion, leave, leaving, new_id
from opentalking.config import Settings
from tests.unit.avatars.test_bundle import write_bundle


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("Ada Lovelace", "custom-ada-lovelace-"),
        ("Zoë!", "custom-zoe-"),
        ("王", "custom-avatar-"),
        ("../x", "custom-x-"),
    ],
)
def test_an_id_is_made_of_the_name_and_the_time(name: str, start: str) -> None:
    assert new_id(name).startswith(start)
    assert new_id(name).removeprefix(start).isdecimal()
    assert len(new_id(name * 100)) <= 64


def test_made_avatars_follow_the_packaged_ones_and_never_hide_them(folder: Path, settings: Settings) -> None:
    write_bundle(folder)
    write_bundle(folder, name="presenter")
    packaged = [bundle.id for bundle in list_bundles(PACKAGED)]
    assert "presenter" in packaged
    assert [bundle.id for bundle in list_avatars(settings)] == [*packaged, "ada"]
    assert find_avatar(settings, "presenter").path.parent != folder
    assert find_avatar(settings, "ada").path == folder / "ada"
    with pytest.raises(AvatarNotFound) as refused:
        find_avatar(settings, "../ada")
    assert str(refused.value) == f"no avatar '../ada'; known: {', '.join(packaged)}, ada"


def test_deleting_takes_what_models_kept_and_nothing_else(tmp_path: Path, folder: Path, settings: Settings) -> None:
    write_bundle(folder)
    digest = "0123456789abcdef"
    mine = [f"portrait/ada-{digest}.npz", f"idle/portrait-ada-{digest}.i420"]
    others = [f"portrait/ada-2-{digest}.npz", f"idle/portrait-bada-{digest}.i420", f"portrait/{digest}.npz"]
    for name in (*mine, *others):
        (tmp_path / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / name).touch()
    delete_avatar(settings, "ada")
    left = {str(path.relative_to(tmp_path / "cache")) for path in (tmp_path / "cache").glob("*/*")}
    assert left == set(others)
    assert sorted(path.name for path in folder.rglob("*")) == [".incoming", ".leaving"]


def test_one_that_is_shown_leaves_every_list_and_stays_for_who_shows_it(
    tmp_path: Path, folder: Path, settings: Settings
) -> None:
    bundle = write_bundle(folder)
    clip = tmp_path / "cache" / "idle" / "portrait-ada-0123456789ab.i420"
    clip.parent.mkdir(parents=True)
    clip.touch()
    leave(settings, "ada")
    assert (leaving(settings), bundle.exists(), clip.exists()) == (["ada"], False, True)
    assert "ada" not in [avatar.id for avatar in list_avatars(settings)]
    with pytest.raises(AvatarNotFound):
        find_avatar(settings, "ada")
    with pytest.raises(AvatarNotFound):
        leave(settings, "ada")
    assert find_avatar(settings, "ada", leaving=True).path == folder / ".leaving" / "ada"
    photo = tmp_path / "photo.jpg"
    photo.touch()
    with pytest.raises(AvatarError, match="already"):
        build(Order(source=photo, folder=folder, consent=consent_now("me"), avatar_id="ada"), settings)
    for _ in range(2):  # of two API processes the second has nothing to do
        finish_deletion(settings, "ada")
        assert (leaving(settings), clip.exists()) == ([], False)


def test_a_broken_one_can_be_deleted_too(folder: Path, settings: Settings) -> None:
    write_bundle(folder, "{")
    delete_avatar(settings, "ada")
    assert not (folder / "ada").exists() and leaving(settings) == []


def test_packaged_unknown_and_escaping_ids_are_refused(folder: Path, settings: Settings) -> None:
    with pytest.raises(AvatarProtected):
        delete_avatar(settings, "presenter")
    for wanted in ("nobody", "..", "../avatars", ".incoming"):
        with pytest.raises(AvatarNotFound):
            delete_avatar(settings, wanted)

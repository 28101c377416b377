"""Bundles: what is read, what is refused and in which words."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from opentalking.avatars import (
    AvatarError,
    AvatarNotFound,
    avatars_dir,
    find_bundle,
    list_bundles,
    read_bundle,
)
from opentalking.config import Settings

GOOD: dict[str, Any] = {
    "id": "ada",
    "model_type": "portrait",
    "fps": 25,
    "sample_rate": 16000,
    "width": 512,
    "height": 640,
    "version": "1.0",
}


def write_bundle(folder: Path, manifest: dict[str, Any] | str = GOOD, picture: bool = True, name: str = "ada") -> Path:
    path = folder / name
    path.mkdir()
    (path / "manifest.json").write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    if picture:
        cv2.imwrite(str(path / "reference.png"), np.zeros((64, 64, 3), np.uint8))
    return path


def test_a_bundle_is_read_with_its_defaults(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path))
    assert (bundle.id, bundle.name, bundle.manifest.width, bundle.manifest.height) == ("ada", "ada", 512, 640)
    assert bundle.reference.name == "reference.png"
    assert bundle.preview == bundle.reference


def test_fields_of_newer_versions_are_left_alone(tmp_path: Path) -> None:
    assert read_bundle(
        write_bundle(tmp_path, {**GOOD, "idle_reference": "x", "metadata": {"any": [1]}})
    ).manifest.metadata


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({k: v for k, v in GOOD.items() if k != "fps"}, "ada/manifest.json: Object missing required field `fps`"),
        ({**GOOD, "width": "512"}, "ada/manifest.json: Expected `int`, got `str` - at `$.width`"),
        ({**GOOD, "width": 511}, "ada/manifest.json: Expected `int` that's a multiple of 2 - at `$.width`"),
        ({**GOOD, "height": 8}, "ada/manifest.json: Expected `int` >= 64 - at `$.height`"),
        ({**GOOD, "id": "bob"}, "ada/manifest.json: id 'bob' is not the folder's name 'ada'"),
        ("{", "ada/manifest.json: Input data was truncated"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_by_field(
    tmp_path: Path, manifest: dict[str, Any] | str, message: str
) -> None:
    with pytest.raises(AvatarError) as refused:
        read_bundle(write_bundle(tmp_path, manifest))
    assert str(refused.value) == message


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    with pytest.raises(AvatarError) as refused:
        read_bundle(tmp_path / "ada")
    assert str(refused.value) == "ada/manifest.json: No such file or directory"


def test_a_bundle_without_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError) as refused:
        read_bundle(write_bundle(tmp_path, picture=False))
    assert str(refused.value) == "ada: no picture, expected one of reference.png, reference.jpg, reference.jpeg"


def test_a_broken_bundle_does_not_hide_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_bundle(tmp_path)
    write_bundle(tmp_path, "{", name="broken")
    with caplog.at_level(logging.WARNING):
        assert [bundle.id for bundle in list_bundles(tmp_path)] == ["ada"]
    assert "broken/manifest.json" in caplog.text


@pytest.mark.parametrize("wanted", ["../ada", "..", ".", "", "ada/../ada", "/etc", "a\\b", "ada\n", "eve", "ada/"])
def test_an_id_never_leads_out_of_the_folder(tmp_path: Path, wanted: str) -> None:
    folder = tmp_path / "avatars"
    folder.mkdir()
    write_bundle(tmp_path)
    write_bundle(folder)
    with pytest.raises(AvatarNotFound) as refused:
        find_bundle(folder, wanted)
    assert str(refused.value) == f"no avatar {wanted!r}; known: ada"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "avatars"
    folder.mkdir()
    (folder / "ada").symlink_to(write_bundle(tmp_path))
    with pytest.raises(AvatarNotFound):
        find_bundle(folder, "ada")


def test_the_packaged_avatars_are_complete() -> None:
    folder = avatars_dir(Settings())
    assert [bundle.id for bundle in list_bundles(folder)] == ["drawn", "ingrid", "presenter", "samuel"]
    for bundle in list_bundles(folder):
        assert find_bundle(folder, bundle.id) == bundle
        picture = cv2.imread(str(bundle.reference))
        assert picture.shape == (bundle.manifest.height, bundle.manifest.width, 3)
        assert bundle.preview.name == "preview.png"
        assert bundle.manifest.model_type == "portrait"


def test_the_setting_replaces_the_packaged_folder(tmp_path: Path) -> None:
    assert avatars_dir(Settings(avatars_dir=str(tmp_path))) == tmp_path

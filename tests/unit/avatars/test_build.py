"""A photo or a video becomes a whole bundle, or nothing at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from opentalking.avatars import AvatarError, find_avatar, list_avatars, read_bundle
from opentalking.avatars.build import Consent, Order, build, check
from opentalking.avatars.quality import PictureRefused
from opentalking.config import Settings
from opentalking.types import UInt8
from tests import portraits
from tests.unit.avatars.filming import film

CONSENT = Consent("test", "2026-11-25T12:00:00Z")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(run_dir=str(tmp_path / "run"))


def order(tmp_path: Path, source: Path, **changes: str) -> Order:
    return Order(source=source, folder=tmp_path / "run" / "avatars", consent=CONSENT, **changes)


def photo(tmp_path: Path, bgr: UInt8) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(portraits.jpeg(bgr))
    return path


def test_a_photo_becomes_a_bundle_with_every_field_of_the_format(tmp_path: Path, settings: Settings) -> None:
    source = photo(tmp_path, portraits.hopper())
    stages: list[str] = []
    built = build(order(tmp_path, source, name="Grace"), settings, lambda stage, share: stages.append(stage))
    bundle = find_avatar(settings, built.bundle.id)
    assert bundle.id.startswith("custom-grace-")
    assert portraits.read(bundle.reference).shape == (bundle.manifest.height, bundle.manifest.width, 3)
    assert bundle.preview.name == "preview.png"
    metadata = bundle.manifest.metadata
    assert metadata["source_image_hash"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert metadata["consent"] == {"by": "test", "at": "2026-11-25T12:00:00Z"}
    assert (metadata["reference_mode"], metadata["custom_avatar"]) == ("image", True)
    mouth = metadata["animation"]
    assert np.shape(mouth["outer_lip"]) == np.shape(mouth["inner_mouth"]) == (20, 2)
    left, top, right, bottom = metadata["face_box"]
    x, y = mouth["mouth_center"]
    assert 0 < left < x < right < 1 and 0 < top < y < bottom < 1
    assert metadata["quality"]["verdict"] == built.report.verdict == "warn"
    assert stages == ["reading", "looking", "framing", "done"]
    assert sorted(path.name for path in bundle.path.iterdir()) == ["manifest.json", "preview.png", "reference.png"]


def test_a_video_becomes_frames_with_their_points_and_mouths(tmp_path: Path, settings: Settings) -> None:
    source = film(tmp_path / "film.mp4", portraits.hopper(), 30)
    bundle = build(order(tmp_path, source), settings).bundle
    metadata = bundle.manifest.metadata
    assert (metadata["reference_mode"], metadata["frame_dir"]) == ("frames", "frames")
    names = sorted(path.name for path in (bundle.path / "frames").glob("*.jpg"))
    assert names == [f"frame_{number:05d}.jpg" for number in range(30)]
    with np.load(bundle.path / "frames" / "landmarks.npz", allow_pickle=False) as stored:
        points = stored["points"]
    assert points.shape == (30, 468, 3)
    frames = json.loads((bundle.path / "frames" / "mouth_metadata.json").read_text())["frames"]
    assert sorted(frames) == names
    best = names[metadata["reference_frame"]]
    assert frames[best]["animation"] == metadata["animation"]
    apart = portraits.read(bundle.reference).astype(int) - portraits.read(bundle.path / "frames" / best)
    assert np.abs(apart).mean() < 3


@pytest.mark.parametrize("problem", ["no face", "model refuses", "process is interrupted"])
def test_what_fails_leaves_nothing(tmp_path: Path, settings: Settings, problem: str) -> None:
    source = photo(tmp_path, portraits.no_face() if problem == "no face" else portraits.presenter())

    def prepare(bundle: Path) -> None:
        assert read_bundle(bundle).id == bundle.name
        assert not (tmp_path / "run" / "avatars" / bundle.name).exists(), "nobody sees it before it is ready"
        raise AvatarError("not for me") if problem == "model refuses" else KeyboardInterrupt

    with pytest.raises((PictureRefused, AvatarError, KeyboardInterrupt)):
        build(order(tmp_path, source), settings, prepare=prepare)
    left = [path for path in (tmp_path / "run").rglob("*") if path.name not in ("avatars", ".incoming")]
    assert left == []


def test_an_id_is_given_once_and_never_over_a_packaged_one(tmp_path: Path, settings: Settings) -> None:
    source = photo(tmp_path, portraits.presenter())
    build(order(tmp_path, source, avatar_id="ada"), settings)
    before = (tmp_path / "run" / "avatars" / "ada" / "manifest.json").read_bytes()
    for taken in ("ada", "presenter"):
        with pytest.raises(AvatarError, match=f"there is an avatar '{taken}' already"):
            build(order(tmp_path, source, avatar_id=taken), settings)
    assert (tmp_path / "run" / "avatars" / "ada" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("wanted", ["../ada", "a/b", ".hidden", "a b", ".."])
def test_an_id_never_leads_out_of_the_folder(tmp_path: Path, settings: Settings, wanted: str) -> None:
    with pytest.raises(AvatarError):
        build(order(tmp_path, photo(tmp_path, portraits.presenter()), avatar_id=wanted), settings)
    assert sorted(path.name for path in tmp_path.iterdir()) in (["photo.jpg"], ["photo.jpg", "run"])
    assert all(bundle.path.parent != tmp_path for bundle in list_avatars(settings))


def test_checking_makes_nothing(tmp_path: Path, settings: Settings) -> None:
    assert check(photo(tmp_path, portraits.presenter()), settings).verdict == "ok"
    assert check(photo(tmp_path, portraits.no_face()), settings).verdict == "refuse"
    assert not (tmp_path / "run").exists()

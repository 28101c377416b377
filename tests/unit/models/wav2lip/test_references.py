"""The face's box and the lips, in a picture and in a clip."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opentalking.avatars import AvatarError, Bundle
from opentalking.avatars.landmarks import FaceFinder
from opentalking.models.wav2lip.references import Reference, face_box, read_references
from opentalking.types import Float32
from tests.unit.models.wav2lip.bundles import clip, copied, picture

NO_PADS = (0, 0, 0, 0)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def landmarks(finder: FaceFinder) -> Float32:
    box = finder.detect(picture())
    assert box is not None
    return finder.landmarks(picture(), box)


class NoFinder(FaceFinder):
    """Fails whoever looks for a face though the bundle says where it is."""

    def detect(self, bgr: Any) -> Any:
        raise AssertionError("looked for a face")


def references(bundle: Bundle, finder: FaceFinder, most: int = 125) -> list[Reference]:
    return list(read_references(bundle, finder, NO_PADS, most))


def test_a_face_is_cut_as_s3fd_would(landmarks: Float32) -> None:
    """Published crops of it: width 0.71 and 0.76 of the height, the mouth at 0.79 of it."""
    left, top, right, bottom = face_box(landmarks).tolist()
    mouth_x, mouth_y = landmarks[[13, 14], :2].mean(0).tolist()
    assert 0.70 < (right - left) / (bottom - top) < 0.77
    assert 0.76 < (mouth_y - top) / (bottom - top) < 0.82
    assert abs(mouth_x - (left + right) / 2) < 0.05 * (right - left)


def test_the_pads_widen_what_was_found_and_not_what_the_bundle_says(tmp_path: Path, finder: FaceFinder) -> None:
    found = copied(tmp_path / "found")
    (plain,) = read_references(found, finder, NO_PADS, 1)
    (padded,) = read_references(found, finder, (1, 10, 2, 3), 1)
    assert np.subtract(padded.box, plain.box).tolist() == [-2, -1, 3, 10]
    said = copied(tmp_path / "said", {"model_crop": [0.25, 0.125, 0.75, 0.875]})
    (given,) = read_references(said, finder, (1, 10, 2, 3), 1)
    assert given.box == (128, 64, 384, 448)


def test_box_and_lips_follow_the_picture_when_it_is_cut_to_the_manifest(tmp_path: Path, finder: FaceFinder) -> None:
    (plain,) = references(copied(tmp_path / "plain"), finder)
    (cut,) = references(copied(tmp_path / "cut", width=320, height=400), finder)
    scale, left = 400 / 512, 40  # 512 x 512 becomes 400 x 400, of which the middle 320 columns are kept
    assert cut.picture.shape == (400, 320, 3)
    np.testing.assert_allclose(cut.lips, plain.lips * scale - [left, 0], atol=0.01)
    np.testing.assert_allclose(cut.box, np.array(plain.box) * scale - [left, 0, left, 0], atol=1)


def test_a_clip_is_read_at_25_frames_a_second_up_to_the_limit(tmp_path: Path, finder: FaceFinder) -> None:
    bundle = clip(tmp_path, [0, 2, 4, 6, 8, 10, 12], fps=50)
    read = references(bundle, finder)
    centres = [reference.lips[:, 0].mean() for reference in read]
    np.testing.assert_allclose(np.diff(centres), 4, atol=1)
    assert len(read) == 4
    assert len(references(bundle, finder, most=3)) == 3


def test_stored_landmarks_are_taken_for_found(tmp_path: Path, landmarks: Float32) -> None:
    bundle = clip(tmp_path, [0, 6])
    moved = np.stack([landmarks, landmarks + np.array([6, 0, 0], np.float32)])
    np.savez(bundle.path / "frames" / "landmarks.npz", points=moved)
    first, second = references(bundle, NoFinder())
    np.testing.assert_allclose(second.lips - first.lips, [[6, 0]] * len(first.lips), atol=0.01)


def test_a_frame_has_the_crop_that_its_metadata_says(tmp_path: Path, landmarks: Float32) -> None:
    bundle = clip(tmp_path, [0, 0], {"frame_metadata": "frames/mouth_metadata.json"})
    np.savez(bundle.path / "frames" / "landmarks.npz", points=np.stack([landmarks] * 2))
    frames = {"frame_00001.jpg": {"model_crop": [0.25, 0.25, 0.75, 0.75]}, "frame_00000.jpg": {}}
    (bundle.path / "frames" / "mouth_metadata.json").write_text(json.dumps({"version": 1, "frames": frames}))
    first, second = references(bundle, NoFinder())
    assert second.box == (128, 128, 384, 384)
    assert first.box != second.box


def test_an_avatar_of_livetalking_has_its_boxes_in_pixels(tmp_path: Path, landmarks: Float32) -> None:
    bundle = clip(tmp_path, [0, 0], {"frame_dir": "full_imgs"})
    (bundle.path / "frames").rename(bundle.path / "full_imgs")
    np.savez(bundle.path / "full_imgs" / "landmarks.npz", points=np.stack([landmarks] * 2))
    coords = [(100, 400, 150, 350), (np.int64(110), np.int64(410), np.int64(151), np.int64(351))]
    (bundle.path / "coords.pkl").write_bytes(pickle.dumps(coords))
    assert [reference.box for reference in references(bundle, NoFinder())] == [
        (150, 100, 350, 400),
        (151, 110, 351, 410),
    ]
    (bundle.path / "coords.pkl").write_bytes(pickle.dumps(coords[:1]))
    with pytest.raises(AvatarError, match=r"presenter/coords\.pkl: 1 boxes for 2 frames"):
        references(bundle, NoFinder())


def refusals(folder: Path) -> Iterator[tuple[Bundle, str]]:
    crop = {"model_crop": [0.5, 0.2, 0.4, 0.9]}
    yield copied(folder / "a", crop), "metadata.model_crop: not left < right, top < bottom in 0..1"
    yield copied(folder / "b", {"model_crop": [1, 2]}), "metadata.model_crop: Expected `array` of length 4"
    yield copied(folder / "c", {"model_crop": [0, 0, 0.05, 0.05]}), "the face, 26x26 pixels, is too small or outside"
    yield copied(folder / "d", {"reference_mode": "frames"}), "reference_mode is frames, but frames/ has no frame_00000"
    yield copied(folder / "e", {"reference_mode": "frames", "frame_dir": "../.."}), "frame_dir: leads out of the bundle"
    ill = clip(folder / "f", [0, 1])
    np.savez(ill.path / "frames" / "landmarks.npz", points=np.zeros((3, 468, 3)))
    yield ill, "landmarks.npz: points of (3, 468, 3) are not (2, 468, 3)"
    faceless = clip(folder / "g", [0, 500])
    yield faceless, "presenter/frame_00001.jpg: no face found"
    broken = clip(folder / "h", [0])
    (broken.path / "frames" / "frame_00000.jpg").write_bytes(b"no picture")
    yield broken, "presenter/frame_00000.jpg: not a picture that can be read"


def test_what_cannot_be_used_is_named(tmp_path: Path, finder: FaceFinder) -> None:
    for bundle, said in refusals(tmp_path):
        with pytest.raises(AvatarError) as refused:
            references(bundle, finder)
        assert said in str(refused.value) and str(refused.value).startswith("presenter")

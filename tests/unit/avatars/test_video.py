"""Videos: the face is followed at 25 frames a second, and what loses it is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars.landmarks import FaceFinder
from opentalking.avatars.quality import PictureRefused
from opentalking.avatars.video import Frames, demuxer_of, read_video
from opentalking.config import Settings
from tests import portraits
from tests.unit.avatars.filming import NOBODY, film, growing, held_sideways


def followed(finder: FaceFinder, path: Path, settings: Settings | None = None) -> Frames:
    return read_video(finder, path, settings or Settings(), lambda *_: None)


@pytest.mark.parametrize(
    ("suffix", "demuxer"), [(".mp4", "mov"), (".mov", "mov"), (".webm", "matroska"), (".avi", "avi")]
)
def test_each_container_is_known_by_its_content(tmp_path: Path, suffix: str, demuxer: str) -> None:
    film(tmp_path / f"film{suffix}", NOBODY, 2).rename(tmp_path / "upload")
    assert demuxer_of(tmp_path / "upload") == demuxer
    (tmp_path / "photo").write_bytes(portraits.png(NOBODY))
    assert demuxer_of(tmp_path / "photo") is None


def test_the_face_is_followed_in_the_pixels_of_the_avatar(finder: FaceFinder, tmp_path: Path) -> None:
    frames = followed(finder, film(tmp_path / "film.mp4", portraits.hopper(), 36, fps=30))
    assert frames.points.shape == (30, 468, 3)  # 1.2 s at 25 a second
    pictures = list(frames.pictures())
    assert len(pictures) == 30
    for number in (3, 27):
        assert pictures[number].shape == (frames.framing.height, frames.framing.width, 3)
        box = finder.detect(pictures[number])
        assert box is not None
        apart = finder.landmarks(pictures[number], box)[:, :2] - frames.points[number, :, :2]
        assert np.linalg.norm(apart, axis=1).mean() < 3


def test_the_longest_stretch_with_a_face_is_used(finder: FaceFinder, tmp_path: Path) -> None:
    frames = followed(finder, film(tmp_path / "film.mp4", portraits.hopper(), 50, empty=range(8, 14)))
    assert (frames.first, len(frames.points)) == (14, 36)
    assert [finding.code for finding in frames.report.findings] == ["spectacles", "trimmed"]


def test_a_video_of_a_phone_that_was_held_upright_is_shown_upright(finder: FaceFinder, tmp_path: Path) -> None:
    lying = np.ascontiguousarray(np.rot90(portraits.hopper()))
    frames = followed(finder, held_sideways(film(tmp_path / "film.mp4", lying, 26)))
    face = frames.report.face
    assert face is not None and abs(face.roll) < 8
    assert frames.framing.height > frames.framing.width


@pytest.mark.parametrize("pixel_shape", [Fraction(2), Fraction(1, 2)])
def test_pixels_that_are_not_square_are_made_so(finder: FaceFinder, tmp_path: Path, pixel_shape: Fraction) -> None:
    size = (256, 600) if pixel_shape > 1 else (512, 300)
    squeezed = np.asarray(cv2.resize(portraits.hopper(), size, interpolation=cv2.INTER_AREA), np.uint8)
    frames = followed(finder, film(tmp_path / "film.mp4", squeezed, 26, pixel_shape=pixel_shape))
    upright = followed(finder, film(tmp_path / "square.mp4", portraits.hopper(), 26))
    assert frames.framing.width / frames.framing.height == pytest.approx(
        upright.framing.width / upright.framing.height, rel=0.05
    )


@pytest.mark.parametrize("side", [128, 4000])
def test_pictures_that_are_larger_than_the_video_says_are_not_even_unpacked(
    finder: FaceFinder, tmp_path: Path, side: int
) -> None:
    with pytest.raises(PictureRefused) as told:
        followed(finder, growing(tmp_path / "film.webm", side))
    assert told.value.code == "not_a_video"


def test_no_more_is_used_than_the_setting_says(finder: FaceFinder, tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", portraits.hopper(), 60)
    assert len(followed(finder, path, Settings(avatar_video_s=1.2)).points) == 30


def test_videos_that_are_no_use_are_refused_by_name(finder: FaceFinder, tmp_path: Path) -> None:
    flicker = [number for number in range(40) if number % 20 == 0]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0\0\0\x20ftypisom" + bytes(500))
    for path, code in (
        (film(tmp_path / "short.mp4", portraits.hopper(), 15), "video_too_short"),
        (film(tmp_path / "nobody.mp4", portraits.no_face(), 25), "no_face"),
        (film(tmp_path / "lost.mp4", portraits.hopper(), 40, empty=flicker), "face_lost"),
        (broken, "not_a_video"),
    ):
        with pytest.raises(PictureRefused) as told:
            followed(finder, path)
        assert told.value.code == code, path.name
    with pytest.raises(PictureRefused) as told:
        followed(finder, tmp_path / "short.mp4", Settings(max_avatar_video_bytes=1024))
    assert told.value.code == "too_large"

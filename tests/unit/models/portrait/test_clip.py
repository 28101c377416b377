"""A filmed person: a video made of the presenter, moved by known motions, talking while she is filmed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars import AvatarError
from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import FaceFinder, mouth_opening
from opentalking.models.planes import planes, to_i420
from opentalking.models.portrait.adapter import PortraitAdapter, PortraitAvatar
from opentalking.models.portrait.clip import ClipAvatar
from opentalking.models.portrait.visemes import VISEMES, mouth_of
from opentalking.types import Float32, UInt8, i420_shape

FRAMES = 8
REST = np.zeros_like(mouth_of("aa"))


@dataclass(frozen=True)
class Film:
    """The avatar, its idle loop, and where the face is in each frame: points, (frames, 468, 2)."""

    path: Path
    avatar: ClipAvatar
    idle: UInt8
    places: Float32


def motion(frame: int) -> Float32:
    """The similarity of that frame, (2, 3): turned about the nose, nearer, aside."""
    along = frame / FRAMES
    matrix = cv2.getRotationMatrix2D((256, 300), 6 * np.sin(5 * along), 1 + 0.06 * along)
    matrix[:, 2] += [14 * np.sin(4 * along), 6 * np.cos(6 * along)]
    return np.asarray(matrix, np.float32)


@pytest.fixture(scope="module")
def film(adapter: PortraitAdapter, presenter: PortraitAvatar, tmp_path_factory: pytest.TempPathFactory) -> Film:
    path = tmp_path_factory.mktemp("film") / "film"
    (path / "frames").mkdir(parents=True)
    shutil.copy(PACKAGED / "presenter" / "reference.png", path)
    manifest = json.loads((PACKAGED / "presenter" / "manifest.json").read_text())
    manifest.update(id="film", metadata={"reference_mode": "frames"})
    (path / "manifest.json").write_text(json.dumps(manifest))
    out, points = np.empty(presenter.rest.shape, np.uint8), []
    for frame in range(FRAMES):
        adapter.compose_frame(adapter.open_stream(presenter), 0, mouth_of("aa") * np.float32(frame % 2), out)
        picture = cv2.cvtColor(out, cv2.COLOR_YUV2BGR_I420)
        moved = cv2.warpAffine(
            picture, motion(frame), (512, 512), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        brighter = np.clip(moved * (1 + 0.1 * frame / FRAMES), 0, 255).astype(np.uint8)
        cv2.imwrite(str(path / "frames" / f"frame_{frame:05d}.jpg"), brighter, [cv2.IMWRITE_JPEG_QUALITY, 95])
        there = presenter.rig.landmarks.copy()
        there[:, :2] = there[:, :2] @ motion(frame)[:, :2].T + motion(frame)[:, 2]
        points.append(there)
    np.savez(path / "frames" / "landmarks.npz", points=np.array(points, np.float16))
    avatar = adapter.load_avatar(path)
    assert isinstance(avatar, ClipAvatar)
    idle = np.empty((avatar.idle_frames, *avatar.rest.shape), np.uint8)
    for pose, picture in enumerate(idle):
        adapter.idle_frame(avatar, pose, picture)
    return Film(path, avatar, idle, np.array([place[:, :2] for place in points], np.float32))


def spoken(adapter: PortraitAdapter, avatar: ClipAvatar, pose: int, mouth: Float32) -> UInt8:
    out = np.zeros(i420_shape(avatar.width, avatar.height), np.uint8)
    adapter.compose_frame(adapter.open_stream(avatar), pose, mouth, out)
    return out


def opening(picture: UInt8) -> float:
    bgr = np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), np.uint8)
    finder = FaceFinder()
    box = finder.detect(bgr)
    assert box is not None
    return mouth_opening(finder.landmarks(bgr, box))


def test_the_frames_are_played_to_and_fro(film: Film) -> None:
    assert film.avatar.idle_frames == 2 * FRAMES - 2
    for pose in range(1, FRAMES - 1):
        assert np.array_equal(film.idle[pose], film.idle[film.avatar.idle_frames - pose])
    assert not np.array_equal(film.idle[0], film.idle[1])


def test_above_the_mouth_the_idle_picture_is_the_frame_itself(film: Film) -> None:
    for number in range(FRAMES):
        frame = cv2.imread(str(film.path / "frames" / f"frame_{number:05d}.jpg"), cv2.IMREAD_COLOR)
        assert frame is not None
        luma = cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420)[: int(film.places[number][168, 1])]
        seen = film.idle[number][: len(luma)]
        assert np.abs(luma.astype(int) - seen).max() <= 1  # rounding of two conversions


def test_whatever_the_mouth_did_in_the_video_it_is_closed_at_rest_and_open_for_a_vowel(
    adapter: PortraitAdapter, film: Film
) -> None:
    filmed = cv2.imread(str(film.path / "frames" / "frame_00003.jpg"), cv2.IMREAD_COLOR)
    assert opening(np.asarray(cv2.cvtColor(filmed, cv2.COLOR_BGR2YUV_I420), np.uint8)) > 0.12
    for pose in (0, 3, 7):
        assert opening(film.idle[pose]) < 0.05
        assert opening(spoken(adapter, film.avatar, pose, mouth_of("aa"))) > 0.12


def test_a_mouth_at_rest_and_the_idle_loop_are_the_same_picture(adapter: PortraitAdapter, film: Film) -> None:
    for pose in range(film.avatar.idle_frames):
        assert np.array_equal(spoken(adapter, film.avatar, pose, REST), film.idle[pose])


def test_the_mouth_is_drawn_where_the_face_is_in_that_frame_and_nothing_else_is_touched(
    adapter: PortraitAdapter, film: Film, presenter: PortraitAvatar
) -> None:
    seam = presenter.rig.seam.mean(0)
    e = float(presenter.rig.eye_distance)
    for number in range(FRAMES):
        change = np.abs(spoken(adapter, film.avatar, number, mouth_of("aa")).astype(int) - film.idle[number])
        luma = planes(change.astype(np.uint8)).y
        expected = motion(number)[:, :2] @ seam + motion(number)[:, 2]
        ys, xs = np.nonzero(luma > 40)
        assert abs(np.median(xs) - expected[0]) < 0.08 * e
        assert 0 < np.median(ys) - expected[1] < 0.25 * e
        rows, columns = np.nonzero(luma)
        assert np.abs(columns - expected[0]).max() < 0.9 * e
        assert rows.min() > expected[1] - 0.6 * e and rows.max() < expected[1] + 0.95 * e


def test_the_rim_of_the_pasted_face_is_not_seen(film: Film) -> None:
    """Where the film's own mouth is closed, the pasted face is the film's at either side of the rim and on it, though
    the frames get ever brighter."""
    rim = film.avatar.rim
    inward = (rim - rim.mean(0)) / np.linalg.norm(rim - rim.mean(0), axis=1, keepdims=True)
    for number in range(0, FRAMES, 2):
        bgr = cv2.imread(str(film.path / "frames" / f"frame_{number:05d}.jpg"))
        filmed, shown = (
            cv2.GaussianBlur(planes(picture).y, (0, 0), 3).astype(np.float32)
            for picture in (to_i420(np.asarray(bgr, np.uint8)), film.idle[number])
        )
        place = motion(number)
        sides = [((rim + far * inward) @ place[:, :2].T + place[:, 2]).astype(int) for far in (-14, 0, 14)]
        inner, on, outer = (shown[at[:, 1], at[:, 0]] - filmed[at[:, 1], at[:, 0]] for at in sides)
        assert max(np.abs(on).mean(), np.abs(outer).mean()) < 4
        assert np.abs(inner).mean() < 7  # the film's head is turned a little besides: the jaw's edge lies a pixel aside


def test_a_mouth_pasted_onto_the_idle_clip_is_the_same_picture(adapter: PortraitAdapter, film: Film) -> None:
    other = adapter.load_avatar(film.path)
    assert isinstance(other, ClipAvatar)
    adapter.use_idle_clip(other, film.idle)
    for pose in range(other.idle_frames):
        mouth = mouth_of(VISEMES[pose % len(VISEMES)])
        assert np.array_equal(spoken(adapter, other, pose, mouth), spoken(adapter, film.avatar, pose, mouth))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: [frame.unlink() for frame in path.glob("frame_*")], r"film/frames: 0 pictures"),
        (lambda path: (path / "landmarks.npz").unlink(), r"film/frames/landmarks\.npz: .*No such file"),
        (lambda path: (path / "landmarks.npz").write_bytes(b"PK"), r"film/frames/landmarks\.npz: "),
        (lambda path: (path / "frame_00002.jpg").unlink(), r"points are not \(7, 468, 3\) numbers"),
    ],
)
def test_frames_that_cannot_be_used_are_refused_in_words(
    adapter: PortraitAdapter, film: Film, tmp_path: Path, damage: object, words: str
) -> None:
    shutil.copytree(film.path, tmp_path / "film")
    assert callable(damage)
    damage(tmp_path / "film" / "frames")
    with pytest.raises(AvatarError, match=words):
        adapter.load_avatar(tmp_path / "film")

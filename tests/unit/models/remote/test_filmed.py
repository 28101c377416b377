"""A filmed person whose mouth another machine draws on a still: it is laid where the face is, in the frame's light."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars import AvatarError, read_bundle
from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import FaceFinder
from opentalking.config import Settings
from opentalking.models.planes import planes
from opentalking.models.remote.adapter import RemoteAdapter, RemoteAvatar, RemoteSession
from opentalking.models.remote.filmed import FilmedMouth, read_filmed
from opentalking.models.remote.pictures import decode_jpeg, idle_pictures, still_picture, to_i420
from opentalking.models.remote.stream import Prediction, Turn
from opentalking.models.remote.wire import EXTENSIONS, Geometry
from opentalking.types import Float32, UInt8

FRAMES, REFERENCE = 8, 2
LIPS = (13, 14)


def motion(frame: int) -> Float32:
    """The similarity of that frame, (2, 3), none in the reference: turned about the nose, nearer, aside."""
    along = (frame - REFERENCE) / FRAMES
    matrix = cv2.getRotationMatrix2D((256, 300), 6 * along, 1 + 0.06 * along)
    matrix[:, 2] += [20 * along, -8 * along]
    return np.asarray(matrix, np.float32)


@dataclass(frozen=True)
class Film:
    """A bundle, its idle loop, and where its lips are in each frame, (frames, 2)."""

    path: Path
    idle: list[UInt8]
    still: UInt8
    mouth: FilmedMouth
    lips: Float32


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """The presenter, moved, and brighter from frame to frame."""
    picture = np.asarray(cv2.imread(str(PACKAGED / "presenter" / "reference.png")), np.uint8)
    finder = FaceFinder()
    box = finder.detect(picture)
    assert box is not None
    landmarks = finder.landmarks(picture, box)
    path = tmp_path / "film"
    (path / "frames").mkdir(parents=True)
    cv2.imwrite(str(path / "reference.png"), picture)
    manifest = json.loads((PACKAGED / "presenter" / "manifest.json").read_text())
    manifest.update(id="film", model_type="wav2lip", metadata={"reference_frame": REFERENCE})
    (path / "manifest.json").write_text(json.dumps(manifest))
    points = []
    for frame in range(FRAMES):
        moved = cv2.warpAffine(picture, motion(frame), (512, 512), borderMode=cv2.BORDER_REPLICATE)
        brighter = np.clip(moved * (1 + 0.03 * (frame - REFERENCE)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(path / "frames" / f"frame_{frame:05d}.jpg"), brighter, [cv2.IMWRITE_JPEG_QUALITY, 97])
        there = landmarks.copy()
        there[:, :2] = there[:, :2] @ motion(frame)[:, :2].T + motion(frame)[:, 2]
        points.append(there)
    np.savez(path / "frames" / "landmarks.npz", points=np.array(points, np.float32))
    bundle = read_bundle(path)
    idle = idle_pictures(bundle)
    mouth = read_filmed(bundle, idle)
    assert mouth is not None
    lips = np.array([there[list(LIPS), :2].mean(0) for there in points], np.float32)
    return Film(path, idle, still_picture(bundle), mouth, lips)


def with_a_mark(film: Film) -> UInt8:
    """What a server sends: the still, a bright disc on the lips."""
    bgr = cv2.cvtColor(film.still, cv2.COLOR_YUV2BGR_I420)
    x, y = np.rint(film.lips[REFERENCE]).astype(int).tolist()
    cv2.circle(bgr, (x, y), 12, (255, 255, 255), -1)
    return decode_jpeg(cv2.imencode(".jpg", bgr)[1].tobytes(), 512, 512)


def drawn(film: Film, pose: int, picture: UInt8, share: float = 1.0) -> UInt8:
    out = film.idle[pose].copy()
    film.mouth.draw(pose, picture, share, out)
    return out


@pytest.mark.parametrize("pose", [0, REFERENCE, FRAMES - 1, FRAMES + 2])
def test_the_mouth_is_where_the_face_is_in_the_frame_and_nothing_else_is_touched(film: Film, pose: int) -> None:
    number = min(pose, 2 * FRAMES - 2 - pose)
    idle = planes(film.idle[pose]).y.astype(int)
    out = planes(drawn(film, pose, with_a_mark(film))).y.astype(int)
    rows, columns = np.nonzero(out > 225)
    assert [columns.mean(), rows.mean()] == pytest.approx(film.lips[number].tolist(), abs=0.7)
    rows, columns = np.nonzero(out != idle)
    assert np.ptp(rows) < 210 and np.ptp(columns) < 210
    assert rows.min() > film.lips[number][1] - 90


@pytest.mark.parametrize("pose", [0, REFERENCE, FRAMES - 1])
def test_the_still_itself_laid_into_a_frame_cannot_be_told_from_it(film: Film, pose: int) -> None:
    idle = planes(film.idle[pose])
    out = planes(drawn(film, pose, film.still))
    for plane in ("y", "u", "v"):
        apart = np.abs(getattr(out, plane).astype(int) - getattr(idle, plane))
        assert apart.max() < 40 and apart[apart > 0].mean() < 2.6, plane  # a still that is not lit anew: 5 to 10


def test_of_half_a_share_half_is_seen(film: Film) -> None:
    whole, half = (drawn(film, 0, with_a_mark(film), share).astype(int) for share in (1.0, 0.5))
    assert np.abs(half - (whole + film.idle[0]) / 2).max() <= 1


def test_without_landmarks_or_with_a_clip_of_its_own_a_bundle_is_no_film(film: Film) -> None:
    bundle = read_bundle(film.path)
    (film.path / "idle.mp4").touch()
    assert read_filmed(bundle, film.idle) is None
    (film.path / "idle.mp4").unlink()
    (film.path / "frames" / "landmarks.npz").write_bytes(b"broken")
    with pytest.raises(AvatarError, match=r"^film/frames/landmarks\.npz: "):
        read_filmed(bundle, film.idle)
    np.savez(film.path / "frames" / "landmarks.npz", points=np.zeros((FRAMES - 1, 468, 3)))
    with pytest.raises(AvatarError, match=rf"points are not \({FRAMES}, 468, 3\)"):
        read_filmed(bundle, film.idle)
    (film.path / "frames" / "landmarks.npz").unlink()
    assert read_filmed(bundle, film.idle) is None


def told(extensions: frozenset[str]) -> Geometry:
    return Geometry(slice_len=8, fps=25, width=512, height=512, extensions=extensions)


@pytest.mark.parametrize(
    ("model", "extensions", "moves_on"),
    [
        ("wav2lip", frozenset(), True),  # a server of the original, known by its model's name
        ("musetalk", frozenset(), True),
        ("flashtalk", frozenset(), False),
        ("wav2lip", EXTENSIONS, True),
        ("wav2lip", EXTENSIONS - {"still"}, False),  # a portrait that is served under that name
    ],
)
def test_a_person_moves_on_while_it_speaks_if_the_server_draws_the_mouth_alone(
    film: Film, model: str, extensions: frozenset[str], moves_on: bool
) -> None:
    adapter = RemoteAdapter(model, "omnirt", Settings(omnirt_endpoint="http://nowhere:1"))
    avatar = adapter.load_avatar(film.path)
    adapter._note(told(extensions))
    picture = to_i420(np.full((512, 512, 3), 200, np.uint8))
    out = np.empty_like(film.still)
    adapter.compose_frame(_session(avatar), 5, Prediction(Turn(0, slots=9), 4, picture), out)
    forehead = np.s_[60:150, 200:312]
    np.testing.assert_array_equal(out[forehead], (film.idle[5] if moves_on else picture)[forehead])
    assert not np.array_equal(out, film.idle[5])


def _session(avatar: RemoteAvatar) -> RemoteSession:
    return RemoteSession(avatar, None)  # type: ignore[arg-type]  # nobody is called

"""A photo or a short video becomes an avatar: looked at, framed, and written as a bundle, whole or not at all.

    file ─ read ─ assess ─ frame ─ reference.png, preview.png, [frames/,] manifest.json ─ renamed into place
                     └─ refused: PictureRefused with its report, and nothing is left behind

The bundle grows in `.incoming/` inside the folder of avatars, where no list looks, and is moved into place in one step.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from opentalking.avatars.assess import assess
from opentalking.avatars.bundle import (
    AvatarError,
    AvatarNotFound,
    Bundle,
    Manifest,
    custom_avatars_dir,
    find_avatar,
    is_plain_id,
    read_bundle,
)
from opentalking.avatars.custom import new_id
from opentalking.avatars.framing import Framing, frame_face
from opentalking.avatars.geometry import face_box, mouth_shape
from opentalking.avatars.incoming import incoming, one_at_a_time
from opentalking.avatars.landmarks import FaceFinder
from opentalking.avatars.picture import read_picture, write_png
from opentalking.avatars.quality import PictureRefused, QualityReport
from opentalking.avatars.storage import drop_caches, require_room
from opentalking.avatars.video import Frames, demuxer_of, read_video
from opentalking.config import Settings
from opentalking.types import FPS, MODEL_RATE

VERSION = "1.0"
FRAME_DIR = "frames"
_JPEG_QUALITY = 92

Progress = Callable[[str, float], None]
"""Told of each stage (reading, following, looking, framing, writing, preparing, done) and the share of the work that is
behind it, 0..1."""


class Consent(msgspec.Struct, frozen=True):
    """Who said that the person in the picture agrees, and when (ISO 8601, UTC)."""

    by: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be made of `source`. Without an `avatar_id` it gets one of its name and the time."""

    source: Path
    folder: Path
    consent: Consent
    name: str = ""
    avatar_id: str = ""
    model_type: str = "portrait"
    base_avatar_id: str = ""
    person_mode: str = "single"


@dataclass(frozen=True, slots=True)
class Built:
    """A finished avatar, and what was said of its picture."""

    bundle: Bundle
    report: QualityReport


def consent_now(by: str) -> Consent:
    return Consent(by, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))


def _silent(stage: str, share: float) -> None:
    """Progress that nobody follows."""


def check(source: Path, settings: Settings, progress: Progress = _silent) -> QualityReport:
    """The report on a photo or a video; nothing is made, and nothing raised for a bad one."""
    finder = FaceFinder()
    try:
        if demuxer_of(source):
            return read_video(finder, source, settings, progress).report
        return assess(finder, read_picture(source, settings.max_avatar_image_bytes)).report
    except PictureRefused as refused:
        return refused.report


def build(
    order: Order,
    settings: Settings,
    progress: Progress = _silent,
    prepare: Callable[[Path], object] | None = None,
) -> Built:
    """Make the avatar. Raises PictureRefused with the report, AvatarError if the id is taken, AvatarsFull if there is
    no room for it; nothing is left then.

    `prepare` is called with the finished bundle before anybody can see it: a model makes its caches there, or raises
    AvatarError if it cannot use it."""
    avatar_id = order.avatar_id or new_id(order.name or order.source.stem)
    _require_free(settings, order.folder, avatar_id)
    limited = order.folder == custom_avatars_dir(settings)
    if limited:
        require_room(settings)
    with incoming(order.folder) as place, _no_caches_unless_done(settings, avatar_id):
        path = place / avatar_id
        path.mkdir()
        progress("reading", 0.05)
        report, framing, metadata = _draw(order.source, path, settings, progress)
        manifest = Manifest(
            id=avatar_id,
            name=order.name.strip() or avatar_id,
            model_type=order.model_type,
            fps=FPS,
            sample_rate=MODEL_RATE,
            width=framing.width,
            height=framing.height,
            version=VERSION,
            metadata=metadata | _provenance(order, report),
        )
        (path / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        read_bundle(path)
        if prepare is not None:
            progress("preparing", 0.9)
            prepare(path)
        with one_at_a_time(order.folder):  # of several that are done at once, none takes another's room
            if limited:
                require_room(settings, path)
            path.rename(order.folder / avatar_id)
    progress("done", 1.0)
    return Built(read_bundle(order.folder / avatar_id), report)


@contextlib.contextmanager
def _no_caches_unless_done(settings: Settings, avatar_id: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        drop_caches(settings, avatar_id)
        raise


def _require_free(settings: Settings, folder: Path, avatar_id: str) -> None:
    if not is_plain_id(avatar_id):
        raise AvatarError(f"{avatar_id!r} cannot be an id: letters, digits, dots, dashes and underscores, at most 64")
    try:
        find_avatar(settings, avatar_id, leaving=True)
    except AvatarNotFound:
        if not (folder / avatar_id).exists():
            return
    except AvatarError:
        pass  # broken, and there all the same
    raise AvatarError(f"there is an avatar {avatar_id!r} already; choose another id, or delete that one")


def _draw(
    source: Path, path: Path, settings: Settings, progress: Progress
) -> tuple[QualityReport, Framing, dict[str, Any]]:
    """Write the pictures of a photo or a video; what was said of them, and the metadata that describes them."""
    finder = FaceFinder()
    if demuxer_of(source):
        frames = read_video(finder, source, settings, progress)
        return frames.report, frames.framing, _write_frames(frames, path, progress)
    picture = read_picture(source, settings.max_avatar_image_bytes)
    progress("looking", 0.2)
    portrait = assess(finder, picture)
    if portrait.report.verdict == "refuse" or portrait.face is None:
        raise PictureRefused(portrait.report)
    progress("framing", 0.6)
    size = (portrait.bgr.shape[1], portrait.bgr.shape[0])
    framing = frame_face(portrait.face, size, (settings.avatar_max_width, settings.avatar_max_height))
    cut, points = framing.cut(portrait.bgr), framing.moved(portrait.face.points)
    for name in ("reference.png", "preview.png"):
        write_png(path / name, cut)
    size = (framing.width, framing.height)
    described = {"reference_mode": "image", "idle_mode": "static"}
    return (
        portrait.report,
        framing,
        described | {"face_box": face_box(points, size), "animation": mouth_shape(points, size)},
    )


def _write_frames(frames: Frames, path: Path, progress: Progress) -> dict[str, Any]:
    """Write every frame, its points and its mouth; the best one is also the reference. Metadata of all of them."""
    folder = path / FRAME_DIR
    folder.mkdir()
    size = (frames.framing.width, frames.framing.height)
    mouths = {}
    for number, (picture, points) in enumerate(zip(frames.pictures(), frames.points, strict=True)):
        name = f"frame_{number:05d}.jpg"
        coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
        (folder / name).write_bytes(coded)
        if number == frames.best:
            for reference in ("reference.png", "preview.png"):
                write_png(path / reference, picture)
        mouths[name] = {"source_frame_hash": hashlib.sha256(coded).hexdigest(), "animation": mouth_shape(points, size)}
        progress("writing", 0.6 + 0.3 * (number + 1) / len(frames.points))
    np.savez(folder / "landmarks.npz", points=frames.points)
    (folder / "mouth_metadata.json").write_bytes(msgspec.json.encode({"frames": mouths}))
    points = frames.points[frames.best]
    return {
        "reference_mode": "frames",
        "idle_mode": "loop",
        "frame_dir": FRAME_DIR,
        "frame_metadata": f"{FRAME_DIR}/mouth_metadata.json",
        "extracted_frame_count": len(frames.points),
        "reference_frame": frames.best,
        "source_fps": FPS,
        "face_box": face_box(points, size),
        "animation": mouth_shape(points, size),
    }


def _provenance(order: Order, report: QualityReport) -> dict[str, Any]:
    """Where an avatar comes from, and who answers for it. The upload itself is not kept."""
    with order.source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "custom_avatar": True,
        "base_avatar_id": order.base_avatar_id,
        "person_mode": order.person_mode,
        "matting_status": "opaque",
        "mouth_polygon_source": "mediapipe",
        "source_image_hash": digest,
        "consent": msgspec.to_builtins(order.consent),
        "quality": msgspec.to_builtins(report),
    }

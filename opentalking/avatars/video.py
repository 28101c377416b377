"""A short video as the body of an avatar: its frames at 25 a second, the face followed through them.

    file ─ decoded once at a small size ─ face followed ─ longest stretch that shows it from the front
         ─ best frame judged like a photo ─> Frames; they are decoded a second time when they are written

Two passes cost a second or two and keep the memory at one frame, however large the video is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from opentalking.avatars.assess import PITCH_DEG, YAW_DEG, Portrait, assess, sharpness_of
from opentalking.avatars.faces import Face, find_faces, place_face, shrunk
from opentalking.avatars.framing import Framing, frame_face
from opentalking.avatars.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, FaceBox, FaceFinder, mouth_opening
from opentalking.avatars.pose import head_pose
from opentalking.avatars.quality import Finding, PictureRefused, QualityReport, refusal, report
from opentalking.config import Settings
from opentalking.types import FPS, Float32, UInt8

SHORTEST_S = 1.0
MOST_PIXELS = 4096 * 2304
_TRACKING_SIDE = 960  # pixels; what the face is followed in
_LOST = 0.5  # presence below which the mesh is on nothing
_SIGNATURES = ((4, b"ftyp", "mov"), (0, b"\x1aE\xdf\xa3", "matroska"), (8, b"AVI ", "avi"))  # place, bytes, demuxer
_FINEST = 0.5  # parts of a frame, in larger sides, that are searched for a face that was lost

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Frames:
    """The stretch of a video that becomes an avatar: `points` float32 (frames, 468, 3) in pixels of the avatar's
    picture, `first` its first frame at 25 a second, `best` the frame, counted from there, that stands for all."""

    source: Path
    first: int
    points: Float32
    best: int
    framing: Framing
    report: QualityReport

    def pictures(self) -> Iterator[UInt8]:
        """Its frames as the avatar shows them, in order."""
        with closing(_frames(self.source)) as frames:
            for bgr in itertools.islice(frames, self.first, self.first + len(self.points)):
                yield self.framing.cut(bgr)


def demuxer_of(source: Path) -> str | None:
    """Which of mov (mp4), matroska (webm) and avi a file is, by its first bytes; None if it is none of them."""
    with source.open("rb") as file:
        head = file.read(12)
    return next((name for place, mark, name in _SIGNATURES if head[place:].startswith(mark)), None)


def read_video(finder: FaceFinder, source: Path, settings: Settings, progress: Progress) -> Frames:
    """Follow the face through a video. Raises PictureRefused: too_large, not_a_video, video_too_short, face_lost, and
    whatever a photo of its best frame would be refused for."""
    size = source.stat().st_size
    if size > settings.max_avatar_video_bytes:
        limit = settings.max_avatar_video_bytes
        raise refusal(
            "too_large", f"the video has {size / 1e6:.0f} MB, at most {limit / 1e6:.0f} are taken", size, limit
        )
    most = round(settings.avatar_video_s * FPS)
    faces = _follow(finder, source, most, progress)
    first, last = _longest(faces)
    if last - first < SHORTEST_S * FPS:
        raise _too_short(faces)
    run = [face for face in faces[first:last] if face is not None]
    progress("looking", 0.55)
    best, portrait = _best(finder, source, first, run)
    picture = portrait.bgr.shape[1], portrait.bgr.shape[0]
    points = np.stack([face.points for face in run])
    middle = np.median(points, axis=0).astype(np.float32)
    typical = Face(middle, 1.0, head_pose(middle))
    framing = frame_face(typical, picture, (settings.avatar_max_width, settings.avatar_max_height))
    told = portrait.report
    if len(run) < len(faces):
        message = f"{len(run) / FPS:.1f} s of the video show the face from the front; the rest is left out"
        finding = Finding("trimmed", "warn", message, len(run) / FPS, len(faces) / FPS)
        told = report([*told.findings, finding], picture, told.face)
    moved = np.stack([framing.moved(frame) for frame in points])
    return Frames(source, first, moved, best, framing, told)


def _frames(source: Path) -> Generator[UInt8]:
    """The video's pictures, upright, at 25 a second by its own clock. Raises PictureRefused if it cannot be read."""
    broken = refusal("not_a_video", "the video cannot be read; send MP4, WebM, MOV or AVI")
    demuxer = demuxer_of(source)
    if demuxer is None:
        raise broken
    try:
        with av.open(str(source), format=demuxer) as container:
            if not container.streams.video:
                raise broken
            stream = container.streams.video[0]
            size = stream.codec_context.width, stream.codec_context.height
            shown_size = _square(size, stream.sample_aspect_ratio)
            if max(math.prod(size), math.prod(shown_size)) > MOST_PIXELS:
                raise refusal(
                    "too_large", f"the video is {shown_size[0]}x{shown_size[1]}; 4K is the most that is taken"
                )
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # its pictures may be larger than it says
            start: float | None = None
            shown = 0
            for frame in container.decode(stream):
                if (frame.width, frame.height) != size:
                    raise broken
                at = float(frame.time or 0.0)
                start = at if start is None else start
                while shown <= (at - start) * FPS + 1e-6:
                    bgr = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                    if shown_size != size:
                        bgr = np.asarray(cv2.resize(bgr, shown_size), np.uint8)
                    yield _turned(bgr, frame.rotation)
                    shown += 1
    except (av.FFmpegError, AttributeError, ValueError, OverflowError):  # a codec that is not known has no context
        raise broken from None


def _square(size: tuple[int, int], pixel_shape: Fraction | None) -> tuple[int, int]:
    """The size in square pixels, at which nothing is lost. `pixel_shape`: width over height; None: not known."""
    width, height = size
    shape = float(pixel_shape or 1)
    return (round(width * shape), height) if shape >= 1 else (width, round(height / shape))


def _turned(bgr: UInt8, rotation: int) -> UInt8:
    """As a player shows it; phones film lying and say so."""
    turns = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    turn = turns.get(rotation % 360)
    return bgr if turn is None else np.asarray(cv2.rotate(bgr, turn), np.uint8)


def _follow(finder: FaceFinder, source: Path, most: int, progress: Progress) -> list[Face | None]:
    """The face of each frame; None where it is lost or turned away."""
    faces: list[Face | None] = []
    last: Face | None = None
    with closing(_frames(source)) as frames:
        for bgr in itertools.islice(frames, most):
            small, scale = shrunk(bgr, _TRACKING_SIDE / max(bgr.shape[:2]))
            face = place_face(finder, small, _box_of(last)) if last is not None else None
            if face is None or face.presence < _LOST:
                face = next(iter(find_faces(finder, small, _FINEST)), None)
            last = face
            faces.append(_enlarged(face, scale) if face is not None and _frontal(face) else None)
            progress("following", 0.05 + 0.45 * len(faces) / most)
    return faces


def _box_of(face: Face) -> FaceBox:
    """What the detector would have said of a face whose points are known: from the brows to the chin."""
    left, top, right, bottom = face.box
    right_eye, left_eye = ((float(x), float(y)) for x, y in face.points[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER], :2])
    return FaceBox(((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top), right_eye, left_eye, 1.0)


def _frontal(face: Face) -> bool:
    return abs(face.pose.yaw) <= YAW_DEG[0] and abs(face.pose.pitch) <= PITCH_DEG[0]


def _enlarged(face: Face, scale: float) -> Face:
    return Face((face.points / scale).astype(np.float32), face.presence, face.pose)


def _longest(faces: list[Face | None]) -> tuple[int, int]:
    """First and one past the last frame of the longest stretch with a face."""
    best, start = (0, 0), 0
    for number, face in enumerate([*faces, None]):
        if face is None:
            best = max(best, (start, number), key=lambda run: run[1] - run[0])
            start = number + 1
    return best


def _too_short(faces: list[Face | None]) -> PictureRefused:
    if len(faces) < SHORTEST_S * FPS:
        message = f"the video is {len(faces) / FPS:.1f} s long; at least {SHORTEST_S:.0f} s are needed"
        return refusal("video_too_short", message, len(faces) / FPS, SHORTEST_S)
    seen = sum(face is not None for face in faces)
    if seen == 0:
        return refusal("no_face", "no face looks at the camera in this video; use one of a person from the front")
    message = "the face is lost or turned away again and again; film one person who looks at the camera for 2 to 5 s"
    return refusal("face_lost", message, seen / FPS, SHORTEST_S)


def _best(finder: FaceFinder, source: Path, first: int, run: list[Face]) -> tuple[int, Portrait]:
    """The calmest frame (frontal, mouth closed, sharp), looked at like a photo. Raises PictureRefused."""

    def unrest(number: int) -> float:
        pose = run[number].pose
        return (abs(pose.yaw) + abs(pose.pitch)) / 10 + 10 * mouth_opening(run[number].points)

    calm = sorted(range(len(run)), key=unrest)[:5]
    with closing(_frames(source)) as frames:
        wanted = set(calm)
        kept = {k: bgr for k, bgr in enumerate(itertools.islice(frames, first, first + max(calm) + 1)) if k in wanted}
    best = max(calm, key=lambda number: sharpness_of(kept[number], run[number]) - 0.1 * unrest(number))
    portrait = assess(finder, kept[best])
    if portrait.report.verdict == "refuse":
        raise PictureRefused(portrait.report)
    return best, portrait

"""What a bundle shows: its picture, or the frames of a short clip, and in each the face's box and the lips.

    metadata.reference_mode "image"   the bundle's picture
    metadata.reference_mode "frames"  metadata.frame_dir (frames/): frame_00000.jpg …; beside them, if they are there,
                                      landmarks.npz (`points`, (N, 468, 3), pixels of the frames)

LiveTalking's avatars are clips too: `frame_dir` is then full_imgs, and `coords.pkl` beside it has the boxes.

The box is what the network was trained on: the face as the S3FD detector sees it, from the hairline to the chin. We
ship no S3FD weights, so the box is `metadata.model_crop` (left, top, right, bottom, 0..1 of the picture) if the bundle
has it, or that of `metadata.frame_metadata` for a frame, else taken from the landmarks: as wide as their mesh, down to
the chin, and up by what published crops of S3FD show, whose width is 0.73 of their height (0.71 and 0.76 in the two
that were measured, with the mouth at 0.79 of the height). `metadata.face_box` is not that box: published bundles put a
much wider region there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from opentalking.avatars import AvatarError, Bundle
from opentalking.avatars.landmarks import POINTS, FaceFinder
from opentalking.models.wav2lip.coords import read_coords, share_of
from opentalking.types import FPS, Float32, UInt8

OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)

_FACE_WIDTH = 0.73  # of its height, in crops made by S3FD
_PICTURES = (".jpg", ".jpeg", ".png")
_STEADY_FRAMES = 5  # boxes of a clip are averaged over so many frames, or the mouth would shiver

Pads = tuple[int, int, int, int]  # top, bottom, left, right, pixels added to a box that was found


@dataclass(frozen=True, slots=True)
class Reference:
    """One picture at the avatar's size."""

    picture: UInt8  # BGR (height, width, 3)
    box: tuple[int, int, int, int]  # left, top, right, bottom of the network's crop, pixels
    lips: Float32  # (n, 2) outline of the lips, pixels


@dataclass(frozen=True, slots=True)
class _Cover:
    """How a picture is scaled and cut to cover the avatar's size: evenly at the sides, rather below than above."""

    scale: float
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, picture: UInt8, width: int, height: int) -> _Cover:
        rows, columns = picture.shape[:2]
        scale = max(width / columns, height / rows)
        left = (max(width, round(columns * scale)) - width) // 2
        return cls(scale, left, (max(height, round(rows * scale)) - height) // 4, width, height)

    def apply(self, picture: UInt8) -> UInt8:
        rows, columns = picture.shape[:2]
        if (columns, rows) == (self.width, self.height):
            return picture
        size = max(self.width, round(columns * self.scale)), max(self.height, round(rows * self.scale))
        scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC)
        cut = scaled[self.top : self.top + self.height, self.left : self.left + self.width]
        return np.ascontiguousarray(cut, np.uint8)

    def points(self, points: Float32) -> Float32:
        """Pixels of the picture as it was to pixels of the covering one, (n, 2)."""
        return (points * np.float32(self.scale) - np.array([self.left, self.top], np.float32)).astype(np.float32)


def read_references(bundle: Bundle, finder: FaceFinder, pads: Pads, most: int) -> Iterator[Reference]:
    """The pictures of a bundle in order, `most` at most. Raises AvatarError naming the file without a face."""
    metadata = bundle.manifest.metadata
    if metadata.get("reference_mode", "image") != "frames":
        yield _reference(bundle, bundle.reference, finder, pads)
        return
    folder = bundle.path / str(metadata.get("frame_dir", "frames"))
    if not folder.resolve().is_relative_to(bundle.path.resolve()):
        raise AvatarError(f"{bundle.id}/manifest.json: metadata.frame_dir: leads out of the bundle")
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in _PICTURES)
    if not files:
        raise AvatarError(f"{bundle.id}: reference_mode is frames, but {folder.name}/ has no frame_00000.jpg")
    shown = _at_our_rate(len(files), bundle.manifest.fps)[:most]
    stored = _stored_landmarks(bundle, folder, len(files))
    landmarks = {
        index: _found_landmarks(bundle, files[index], finder) if stored is None else stored[index] for index in shown
    }
    crops = _stored_crops(bundle, files)
    for position, index in enumerate(shown):
        around = shown[max(0, position - _STEADY_FRAMES // 2) : position + _STEADY_FRAMES // 2 + 1]
        face = np.mean([face_box(landmarks[near]) for near in around], axis=0)
        yield _at_size(bundle, _read(bundle, files[index]), landmarks[index], face, pads, crops.get(files[index].name))


def face_box(landmarks: Float32) -> Float32:
    """Left, top, right, bottom of the face as S3FD would see it, pixels; from Face Mesh's points (468, 2 or 3)."""
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    height = max((high[0] - low[0]) / _FACE_WIDTH, high[1] - low[1])
    return np.array([low[0], high[1] - height, high[0], high[1]], np.float32)


def _reference(bundle: Bundle, path: Path, finder: FaceFinder, pads: Pads) -> Reference:
    picture = _read(bundle, path)
    landmarks = _found_landmarks(bundle, path, finder)
    crop = bundle.manifest.metadata.get("model_crop")
    return _at_size(bundle, picture, landmarks, face_box(landmarks), pads, crop)


def _at_size(
    bundle: Bundle, picture: UInt8, landmarks: Float32, face: Float32, pads: Pads, crop: Any | None
) -> Reference:
    manifest = bundle.manifest
    rows, columns = picture.shape[:2]
    if crop is None:
        top, bottom, left, right = pads
        face = face + np.array([-left, -top, right, bottom], np.float32)
    else:
        face = _checked_crop(bundle, crop) * np.array([columns, rows, columns, rows], np.float32)
    cover = _Cover.of(picture, manifest.width, manifest.height)
    corners = cover.points(face.reshape(2, 2)).reshape(4)
    box = np.clip(np.rint(corners), 0, [manifest.width, manifest.height] * 2).astype(int).tolist()
    if box[2] - box[0] < 32 or box[3] - box[1] < 32:
        raise AvatarError(f"{bundle.id}: the face, {box[2] - box[0]}x{box[3] - box[1]} pixels, is too small or outside")
    return Reference(cover.apply(picture), tuple(box), cover.points(landmarks[list(OUTER_LIPS), :2]))


def _at_our_rate(frames: int, fps: int) -> list[int]:
    """Which frames of a clip of that rate to show, 25 a second."""
    return [min(frames - 1, round(index * fps / FPS)) for index in range(max(1, math.ceil(frames * FPS / fps)))]


def _read(bundle: Bundle, path: Path) -> UInt8:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise AvatarError(f"{bundle.id}/{path.name}: not a picture that can be read")
    return np.asarray(picture, np.uint8)


def _found_landmarks(bundle: Bundle, path: Path, finder: FaceFinder) -> Float32:
    picture = _read(bundle, path)
    box = finder.detect(picture)
    if box is None:
        raise AvatarError(f"{bundle.id}/{path.name}: no face found; use a frontal portrait, face well visible")
    return finder.landmarks(picture, box)


def _stored_landmarks(bundle: Bundle, folder: Path, frames: int) -> Float32 | None:
    path = folder / "landmarks.npz"
    if not path.is_file():
        return None
    where = f"{bundle.id}/{folder.name}/{path.name}"
    try:
        with np.load(path, allow_pickle=False) as stored:
            points = np.asarray(stored["points"], np.float32)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise AvatarError(f"{where}: {error}") from error
    if points.shape[:2] != (frames, POINTS) or points.ndim != 3:
        raise AvatarError(f"{where}: points of {points.shape} are not ({frames}, {POINTS}, 3)")
    return points


def _stored_crops(bundle: Bundle, files: list[Path]) -> dict[str, Any]:
    """`model_crop` by file name, from `metadata.frame_metadata`, or as LiveTalking stores it."""
    coords = bundle.path / "coords.pkl"
    if coords.is_file():
        boxes = read_coords(coords)
        if len(boxes) != len(files):
            raise AvatarError(f"{bundle.id}/{coords.name}: {len(boxes)} boxes for {len(files)} frames")
        height, width = _read(bundle, files[0]).shape[:2]
        return {path.name: share_of(box, width, height) for path, box in zip(files, boxes, strict=True)}
    name = bundle.manifest.metadata.get("frame_metadata")
    path = bundle.path / str(name)
    if not name or not path.is_file() or not path.resolve().is_relative_to(bundle.path.resolve()):
        return {}
    try:
        frames = msgspec.json.decode(path.read_bytes(), type=dict[str, Any]).get("frames", {})
        return {file: about["model_crop"] for file, about in frames.items() if "model_crop" in about}
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise AvatarError(f"{bundle.id}/{name}: {error}") from None


def _checked_crop(bundle: Bundle, crop: Any) -> Float32:
    try:
        left, top, right, bottom = msgspec.convert(crop, tuple[float, float, float, float])
    except msgspec.ValidationError as error:
        raise AvatarError(f"{bundle.id}/manifest.json: metadata.model_crop: {error}") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise AvatarError(f"{bundle.id}/manifest.json: metadata.model_crop: not left < right, top < bottom in 0..1")
    return np.array([left, top, right, bottom], np.float32)

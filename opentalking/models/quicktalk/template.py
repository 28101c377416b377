"""What the network draws on: the avatar's picture, or the frames of a short video played to and fro.

    frames     0 1 2 … n-1 n-2 … 1 │ 0 1 …      the idle loop has 2n-2 poses and no seam

A bundle of frames says so by `metadata.reference_mode: "frames"` and holds `frames/frame_%05d.jpg` and
`frames/landmarks.npz`, whose array `points` (n, 468, 3) are Face Mesh's in pixels of the frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from opentalking.avatars import AvatarError, Bundle
from opentalking.avatars.landmarks import POINTS, FaceFinder
from opentalking.models.planes import to_i420
from opentalking.models.quicktalk.crop import Crop, Repair, cut_face
from opentalking.types import Float32, UInt8

MAX_FRAMES = 500  # 20 s: what they take in memory
_STEADY_FRAMES = 1.0  # sigma by which landmarks are smoothed over time, so that the patch does not tremble


@dataclass(frozen=True, slots=True)
class TemplateFrame:
    """One picture to be drawn on: `i420` uint8 (height * 3 // 2, width), and its face."""

    i420: UInt8
    crop: Crop


def read_template(bundle: Bundle, repair: Repair) -> list[TemplateFrame]:
    """The bundle's frames, or its one picture, at the manifest's size. Raises AvatarError naming the file."""
    if bundle.manifest.metadata.get("reference_mode", "image") == "frames":
        return _read_frames(bundle, repair)
    picture, _ = _read_picture(bundle, bundle.reference)
    finder = FaceFinder()
    box = finder.detect(picture)
    if box is None:
        raise AvatarError(f"{bundle.id}/{bundle.reference.name}: no face found; use a frontal portrait")
    return [_frame(bundle, bundle.reference, picture, finder.landmarks(picture, box), repair)]


def frame_of_pose(pose: int, frames: int) -> int:
    """Which of so many frames a pose of the loop shows: to and fro."""
    if frames == 1:
        return 0
    at = pose % (2 * frames - 2)
    return at if at < frames else 2 * frames - 2 - at


def _read_frames(bundle: Bundle, repair: Repair) -> list[TemplateFrame]:
    folder = bundle.path / "frames"
    paths = sorted(folder.glob("frame_*.jpg"))
    if not 2 <= len(paths) <= MAX_FRAMES:
        raise AvatarError(f"{bundle.id}/frames: {len(paths)} frames; from 2 to {MAX_FRAMES} are needed")
    points = _read_points(bundle, len(paths))
    steady = gaussian_filter1d(points, _STEADY_FRAMES, axis=0, mode="nearest")
    frames = []
    for path, found in zip(paths, steady, strict=True):
        picture, scale = _read_picture(bundle, path)
        frames.append(_frame(bundle, path, picture, found * scale, repair))
    return frames


def _read_points(bundle: Bundle, count: int) -> Float32:
    where = f"{bundle.id}/frames/landmarks.npz"
    try:
        with np.load(bundle.path / "frames" / "landmarks.npz", allow_pickle=False) as stored:
            points = np.asarray(stored["points"], np.float32)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise AvatarError(f"{where}: {error}") from error
    if points.shape != (count, POINTS, 3) or not np.isfinite(points).all():
        raise AvatarError(f"{where}: points of {points.shape}, not ({count}, {POINTS}, 3), or not all finite")
    return points


def _read_picture(bundle: Bundle, path: Path) -> tuple[UInt8, Float32]:
    """The picture at the manifest's size, and by what its points are to be multiplied (x, y, z)."""
    read = cv2.imread(str(path), cv2.IMREAD_COLOR)
    name = path.relative_to(bundle.path)
    if read is None:
        raise AvatarError(f"{bundle.id}/{name}: not a picture that can be read")
    width, height = bundle.manifest.width, bundle.manifest.height
    rows, columns = read.shape[:2]
    if abs(columns * height - rows * width) > max(width, height):
        raise AvatarError(f"{bundle.id}/{name}: {columns} x {rows} is not of the shape of {width} x {height}")
    scale = width / columns
    if (columns, rows) != (width, height):
        read = cv2.resize(read, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return np.asarray(read, np.uint8), np.array([scale, height / rows, scale], np.float32)


def _frame(bundle: Bundle, path: Path, picture: UInt8, points: Float32, repair: Repair) -> TemplateFrame:
    try:
        return TemplateFrame(to_i420(picture), cut_face(picture, points, repair))
    except ValueError as error:
        raise AvatarError(f"{bundle.id}/{path.relative_to(bundle.path)}: {error}") from error

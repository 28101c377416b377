"""All faces of a picture, the largest first, each with its points and its pose.

The detector sees no face much smaller than a tenth of what it is given. So the picture is looked at whole, then in
overlapping halves, quarters and eighths of its side, until no face of a third of the largest can have been missed; what
is found more than once is one face, and what the mesh does not take for a face is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from opentalking.avatars.landmarks import FaceBox, FaceFinder
from opentalking.avatars.pose import HeadPose, head_pose
from opentalking.types import Float32, UInt8

CHEEK_RIGHT, CHEEK_LEFT = 234, 454
SMALLEST_SHARE = 1 / 3  # of the largest face; smaller ones are passers-by
_SEARCH_SIDE = 1280  # pixels of the picture in which faces are looked for
_MESH_FACE = 360  # pixels of a face on which the mesh is placed; more would only alias
_WINDOWS = (1.0, 0.5, 0.25, 0.125)  # sides of what the detector is given, in larger sides of the picture
_SEEN_SHARE = 0.12  # the smallest face, in sides of a window, that is found surely
_SURE_PRESENCE = 0.5
_SURE_SCORE = 0.6  # of a face that is found in a part of the picture alone


@dataclass(frozen=True, slots=True)
class Face:
    """A face: `points` float32 (468, 3) in pixels of the picture, `presence` how sure the mesh is (0..1)."""

    points: Float32
    presence: float
    pose: HeadPose

    @property
    def width(self) -> float:
        """Cheek to cheek, pixels, in space: a turned head is no narrower."""
        return float(np.linalg.norm(self.points[CHEEK_LEFT] - self.points[CHEEK_RIGHT]))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the points, pixels."""
        low, high = self.points[:, :2].min(0), self.points[:, :2].max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def find_faces(finder: FaceFinder, bgr: UInt8, finest: float = _WINDOWS[-1]) -> list[Face]:
    """The faces of `bgr`, uint8 (height, width, 3), the largest first. Takes 0.01 s, up to 1 s if there is none.

    `finest`: the smallest part of the picture that is looked at by itself, in larger sides."""
    found, scale = shrunk(bgr, _SEARCH_SIDE / max(bgr.shape[:2]))
    side = max(found.shape[:2])
    boxes: list[FaceBox] = []
    faces: list[Face] = []
    for share in (share for share in _WINDOWS if share >= finest):
        for left, top, window in _windows(found, round(side * share)):
            for box in finder.detect_all(window):
                moved = _moved(box, left, top)
                if (share < 1 and box.score < _SURE_SCORE) or any(_overlap(moved, other) for other in boxes):
                    continue
                boxes.append(moved)
                face = place_face(finder, bgr, _scaled(moved, 1 / scale))
                if face.presence >= _SURE_PRESENCE and not any(_same(face, other) for other in faces):
                    faces.append(face)
        largest = max((face.width for face in faces), default=0.0) * scale
        if largest * SMALLEST_SHARE >= side * share * _SEEN_SHARE:
            break
    return sorted(faces, key=lambda face: -face.width)


def place_face(finder: FaceFinder, bgr: UInt8, box: FaceBox) -> Face:
    """The face at `box`, its mesh placed on a copy of the picture at a size that suits the mesh."""
    small, scale = shrunk(bgr, _MESH_FACE / max(box.size))
    points, presence = finder.place(small, _scaled(box, scale))
    points = (points / scale).astype(np.float32)
    return Face(points, presence, head_pose(points))


def shrunk(bgr: UInt8, scale: float) -> tuple[UInt8, float]:
    """The picture at that scale if it is less than 1, and the scale; else as it is, and 1."""
    if scale >= 1:
        return bgr, 1.0
    size = (max(1, round(bgr.shape[1] * scale)), max(1, round(bgr.shape[0] * scale)))
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _windows(bgr: UInt8, side: int) -> Iterator[tuple[int, int, UInt8]]:
    """Left, top and pixels of squares that overlap by half; one of the whole if it is not larger than they are."""
    height, width = bgr.shape[:2]
    step = side // 2
    tops = range(0, max(1, height - side + step), step) if side < max(height, width) else (0,)
    lefts = range(0, max(1, width - side + step), step) if side < max(height, width) else (0,)
    for top, left in product(tops, lefts):
        yield left, top, bgr[top : top + side, left : left + side]


def _scaled(box: FaceBox, scale: float) -> FaceBox:
    centre, size, right_eye, left_eye = (
        (x * scale, y * scale) for x, y in (box.centre, box.size, box.right_eye, box.left_eye)
    )
    return FaceBox(centre, size, right_eye, left_eye, box.score)


def _moved(box: FaceBox, left: int, top: int) -> FaceBox:
    centre, right_eye, left_eye = ((x + left, y + top) for x, y in (box.centre, box.right_eye, box.left_eye))
    return FaceBox(centre, box.size, right_eye, left_eye, box.score)


def _overlap(one: FaceBox, other: FaceBox) -> bool:
    """Are two boxes the same face? Their centres are nearer than half the smaller one."""
    apart = np.abs(np.subtract(one.centre, other.centre)).max()
    return bool(apart < 0.5 * min(max(one.size), max(other.size)))


def _same(one: Face, other: Face) -> bool:
    """Do two faces share a third of the smaller one? People do not stand in each other."""
    (l0, t0, r0, b0), (l1, t1, r1, b1) = one.box, other.box
    shared = max(0.0, min(r0, r1) - max(l0, l1)) * max(0.0, min(b0, b1) - max(t0, t1))
    return shared > min((r0 - l0) * (b0 - t0), (r1 - l1) * (b1 - t1)) / 3

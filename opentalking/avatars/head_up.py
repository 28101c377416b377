"""Which way up a picture is, if EXIF did not say: it is turned until its largest face is upright.

    a face that is upright, and large? ─ no ─> the same of the picture turned by 90, 180, 270 degrees
               └─ yes ─> is it upside down? ─ yes ─> turned by another 180

The second question is not idle: shown a head upside down, the mesh lays an upright face over it, chin on forehead,
often with a presence of 1. The detector tells by degrees: it is surer of the same face the other way up. What it says
at three scales, and the mesh's presence either way, make one figure; docs/photo.md has what it was measured at.
"""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.avatars.faces import Face, find_faces, place_face, shrunk
from opentalking.avatars.landmarks import FaceBox, FaceFinder
from opentalking.types import UInt8

_SIDEWAYS_DEG = 30.0  # a head that leans so far may lie in a picture that was not turned
_NO_ACCIDENT = 0.08  # of the picture's larger side; patterns that pass for a face are smaller
_TURNS = ((90, cv2.ROTATE_90_CLOCKWISE), (180, cv2.ROTATE_180), (270, cv2.ROTATE_90_COUNTERCLOCKWISE))
_ROOMS = (1.8, 2.3, 3.0)  # sides of the crops in which the detector is asked, in larger sides of the face
_CROP_SIDE = 256
_SURER = 0.07  # by so much it has to be surer of the face the other way up
_LEAST_SCORE = 0.5  # where the detector says nothing


def head_up(finder: FaceFinder, bgr: UInt8) -> tuple[UInt8, list[Face], int]:
    """The picture, its faces, and by how many degrees clockwise it had to be turned for the head to be up."""
    faces = find_faces(finder, bgr)
    as_it_is = bgr, faces, 0
    best, upright = as_it_is, _upright(faces)
    width = upright[0].width if upright else 0.0
    if width <= _NO_ACCIDENT * max(bgr.shape[:2]):
        for degrees, turn in _TURNS:
            turned = np.asarray(cv2.rotate(bgr, turn), np.uint8)
            found = _upright(find_faces(finder, turned, 0.5))
            if found and found[0].width > 2 * width:
                best, upright, width = (turned, found, degrees), found, found[0].width
    if not upright or not _is_upside_down(finder, best[0], upright[0]):
        return best
    turned = np.asarray(cv2.rotate(best[0], cv2.ROTATE_180), np.uint8)
    degrees = (best[2] + 180) % 360
    found = _upright(find_faces(finder, turned) if degrees == 0 else find_faces(finder, turned, 0.5))
    return (turned, found, degrees) if found and found[0].width > width / 2 else as_it_is


def _upright(faces: list[Face]) -> list[Face]:
    return [face for face in faces if abs(face.pose.roll) < _SIDEWAYS_DEG]


def _is_upside_down(finder: FaceFinder, bgr: UInt8, face: Face) -> bool:
    crops = [_around(bgr, face, room) for room in _ROOMS]
    flipped = [np.asarray(cv2.rotate(crop, cv2.ROTATE_180), np.uint8) for crop in crops]
    other = [_in_the_middle(finder, crop) for crop in flipped]
    if (box := other[1]) is None:
        return False
    surer = np.mean(
        [_score(_in_the_middle(finder, crop)) - _score(turned) for crop, turned in zip(crops, other, strict=True)]
    )
    return float(surer) + face.presence - place_face(finder, flipped[1], box).presence < -_SURER


def _around(bgr: UInt8, face: Face, room: float) -> UInt8:
    left, top, right, bottom = face.box
    side = room * max(right - left, bottom - top)
    small, shrinkage = shrunk(bgr, _CROP_SIDE / side)
    scale = _CROP_SIDE / side / shrinkage
    x, y = (shrinkage * middle for middle in ((left + right) / 2, (top + bottom) / 2))
    place = np.array([[scale, 0, _CROP_SIDE / 2 - x * scale], [0, scale, _CROP_SIDE / 2 - y * scale]])
    return np.asarray(cv2.warpAffine(small, place, (_CROP_SIDE, _CROP_SIDE)), np.uint8)


def _in_the_middle(finder: FaceFinder, crop: UInt8) -> FaceBox | None:
    near = (
        box for box in finder.detect_all(crop) if np.abs(np.subtract(box.centre, _CROP_SIDE / 2)).max() < _CROP_SIDE / 4
    )
    return next(near, None)


def _score(box: FaceBox | None) -> float:
    return box.score if box is not None else _LEAST_SCORE

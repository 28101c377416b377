"""A filmed person whose mouth another machine draws, on the one picture it was sent.

    idle       frames 0 … n-1 … 1, there and back
    speaking   the frame that is due, and in it the lower face of the server's picture, laid where the face is

So the person moves on while it speaks, and speech joins the idle loop without a step. That is right only for what draws
the mouth and leaves the rest of the picture alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opentalking.avatars import Bundle
from opentalking.avatars.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from opentalking.models.following import at_half, fitted, laid, places, read_points, rim_of, sampled
from opentalking.models.patch import SoftPatch, soft_patch
from opentalking.models.planes import Planes, planes
from opentalking.models.remote.pictures import clip_file, frame_files, still_picture
from opentalking.types import Float32, UInt8

_CHEEKS, _CHIN, _NOSE_TIP, _LOWER_LIP = (234, 454), 152, 4, 17
_WIDE, _ABOVE, _BELOW = (
    0.80,
    0.02,
    0.20,
)  # of the patch: in half face widths, from nose to chin and beyond, eye distances
_BORDER = 0.14  # of it, eye distances


class FilmedMouth:
    """Shared by the sessions of an avatar; `draw` is called from one thread."""

    def __init__(self, points: Float32, reference: int, frames: Sequence[UInt8], still: UInt8) -> None:
        """`points` (frames, 468, 2) of `frames`, I420; `reference`: which of them is `still`, the picture sent."""
        self._places = places(points[reference], points)
        rows, width = still.shape
        mask = _lower_face(points[reference], width, rows * 2 // 3)
        eyes = float(np.linalg.norm(points[reference][RIGHT_EYE_OUTER] - points[reference][LEFT_EYE_OUTER]))
        rim = rim_of(mask, float(points[reference][_LOWER_LIP, 1]) + 0.15 * eyes)
        self._patches = [soft_patch(laid(mask, place, mask.shape)) for place in self._places]
        at_rest = sampled(planes(still), _inside(rim, mask.shape))
        self._lights = [
            _light(rim @ place[:, :2].T + place[:, 2], at_rest, planes(frame), mask.shape)
            for place, frame in zip(self._places, frames, strict=True)
        ]

    def draw(self, pose: int, picture: UInt8, share: float, out: UInt8) -> None:
        """Lay the mouth of the server's picture, I420, into `out`, the idle picture of that pose; `share` of it."""
        pose %= 2 * len(self._places) - 2
        number = min(pose, 2 * len(self._places) - 2 - pose)
        place, patch, light = self._places[number], self._patches[number], self._lights[number]
        self._lay(picture, place, patch, light, share, out)

    @staticmethod
    def _lay(picture: UInt8, place: Float32, patch: SoftPatch, light: Float32, share: float, out: UInt8) -> None:
        left, top, right, bottom = patch.box
        drawn = []
        for index, source in enumerate((planes(picture).y, planes(picture).u, planes(picture).v)):
            step = 1 if index == 0 else 2
            local = (place if index == 0 else at_half(place)).copy()
            local[:, 2] -= (left // step, top // step)
            moved = laid(source, local, ((bottom - top) // step, (right - left) // step)).astype(np.float32)
            a, b, c = light[:, index]
            xs = np.arange(left, right, step, dtype=np.float32)
            ys = np.arange(top, bottom, step, dtype=np.float32)
            moved += (a + b * xs)[None]
            moved += (c * ys)[:, None]
            drawn.append(moved)
        patch.lay_planes((drawn[0], drawn[1], drawn[2]), share, planes(out))


def read_filmed(bundle: Bundle, idle: Sequence[UInt8]) -> FilmedMouth | None:
    """Of a bundle whose frames have landmarks, and `idle` made of them, there and back. None of any other.

    Raises AvatarError if they cannot be used."""
    path, reference = bundle.path / "frames" / "landmarks.npz", bundle.manifest.metadata.get("reference_frame")
    count = len(idle) // 2 + 1
    if not path.is_file() or clip_file(bundle) is not None or not isinstance(reference, int):
        return None
    if not 0 <= reference < count >= 2:
        return None
    points = read_points(path, f"{bundle.id}/frames", len(frame_files(bundle)))
    return FilmedMouth(points[:count, :, :2], reference, idle[:count], still_picture(bundle))


def _lower_face(points: Float32, width: int, height: int) -> Float32:
    """How much of the server's picture is shown at each pixel of it, (height, width): from under the nose to under the
    chin, from cheek to cheek."""
    eyes = float(np.linalg.norm(points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER]))
    nose, chin = points[_NOSE_TIP], points[_CHIN]
    top, bottom = float(nose[1]) - _ABOVE * eyes, float(chin[1]) + _BELOW * eyes
    across = _WIDE * float(np.ptp(points[list(_CHEEKS), 0])) / 2
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    middle = np.float32((nose[0] + chin[0]) / 2)
    away = np.sqrt(((xs - middle) / across) ** 2 + ((ys - (top + bottom) / 2) / ((bottom - top) / 2)) ** 2)
    soft = np.clip((1 - away) * (bottom - top) / 2 / (_BORDER * eyes), 0, 1)
    return np.asarray(soft * soft * (3 - 2 * soft), np.float32)


def _light(rim: Float32, at_rest: Float32, frame: Planes, shape: tuple[int, ...]) -> Float32:
    """(3, 3): what to add, a + b x + c y (rows), to Y, U, V (columns) so that the still meets this frame at the rim."""
    there = _inside(rim, shape)
    middle, spread = there.mean(0), float(np.ptp(there, axis=0).max())
    system = np.column_stack([np.ones(len(there), np.float32), (there - middle) / spread])
    a, b, c = fitted(system, sampled(frame, there) - at_rest)
    return np.stack([a - (b * middle[0] + c * middle[1]) / spread, b / spread, c / spread]).astype(np.float32)


def _inside(at: Float32, shape: tuple[int, ...]) -> Float32:
    return np.clip(at, 0, [shape[1] - 1, shape[0] - 1]).astype(np.float32)

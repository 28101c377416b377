"""A person filmed: the video's frames are the idle loop, played to and fro, and every frame gets the mouth it needs.

    frames/frame_00000.jpg …   25 frames a second, of the manifest's size
    frames/landmarks.npz       points, float16 (frames, 468, 3), in pixels of the frame
    reference.png              the picture whose mouth is moved: frontal, mouth closed

    idle picture     = frame, its lower face replaced by the reference's with the mouth closed
    talking picture  = idle picture + (reference speaking − reference at rest), laid where the face is in that frame

So a mouth at rest is the idle picture byte for byte, whatever the person's own mouth did in the video, and talking
frames cost no more than the mouth. The reference is laid by the similarity of both faces' steady points, its light
fitted to the frame's along the rim.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from opentalking.avatars import AvatarError, Bundle
from opentalking.models.following import at_half, fitted, laid, places, read_points, rim_of, sampled
from opentalking.models.planes import Planes, planes, to_i420
from opentalking.models.portrait.fields import smoothstep
from opentalking.models.portrait.interior import draw_interior
from opentalking.models.portrait.lips import LipWarp
from opentalking.models.portrait.rig import Rig
from opentalking.models.portrait.shapes import CHEEKS, CHIN, NOSE_TIP
from opentalking.models.portrait.visemes import PARAMETERS
from opentalking.types import FPS, Float32, UInt8

_RIM = 0.12  # width of the border over which the reference fades out, eye distances
_cv2: Any = cv2


class ClipAvatar:
    """A filmed person ready to speak; shared between sessions, written only to give it its idle loop."""

    def __init__(self, bundle: Bundle, rig: Rig) -> None:
        """Raises AvatarError naming what is wrong with the frames."""
        manifest = bundle.manifest
        self.width, self.height, self.fps = manifest.width, manifest.height, FPS
        self.rig = rig
        self.lips = LipWarp(rig)
        self.idle: UInt8 | None = None
        self.rest = rig.source.copy()
        self.lips.draw(np.zeros(len(PARAMETERS), np.float32), planes(self.rest))
        self._folder = bundle.path / "frames"
        self._name = f"{bundle.id}/frames"
        self._frames = sorted(self._folder.glob("frame_*.jpg"))
        self._places = places(rig.landmarks[:, :2], self._landmarks()[..., :2])
        self.idle_frames = 2 * len(self._frames) - 2
        self._canvas = np.empty_like(self.rest)
        self._mask = _mask(rig, self.width, self.height)
        self.rim = _rim(self._mask, rig)  # (points, 2) of the reference where it joins the frame

    def draw(self, pose: int, mouth: Float32 | None, out: UInt8) -> None:
        """The idle picture of that pose, with the mouth `mouth`, (12,), if there is one."""
        pose %= self.idle_frames
        number = min(pose, self.idle_frames - pose)
        if self.idle is not None and mouth is not None:
            np.copyto(out, self.idle[pose])
        else:
            self._draw_idle(number, out)
        if mouth is not None and mouth.any():
            self._draw_speech(number, mouth, out)

    def _landmarks(self) -> Float32:
        if len(self._frames) < 2:
            raise AvatarError(f"{self._name}: {len(self._frames)} pictures frame_00000.jpg …; two are the least")
        return read_points(self._folder / "landmarks.npz", self._name, len(self._frames))

    def _draw_idle(self, number: int, out: UInt8) -> None:
        path = self._frames[number]
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None or picture.shape != (self.height, self.width, 3):
            raise AvatarError(f"{self._name}/{path.name}: not a picture of {self.width} x {self.height}")
        np.copyto(out, to_i420(np.asarray(picture, np.uint8)))
        place = self._places[number]
        light = self._rim_difference(place, planes(out))
        rest, target = planes(self.rest), planes(out)
        for source, plane, mask, offset in zip(_each(rest), _each(target), self._masks(), light, strict=True):
            where = place if plane is target.y else at_half(place)
            lower = laid(source.astype(np.float32), where, plane.shape)
            share = laid(mask, where, plane.shape, cv2.INTER_LINEAR)
            lower += offset
            plane[:] = np.clip(np.rint(plane + (lower - plane) * share), 0, 255)

    def _draw_speech(self, number: int, mouth: Float32, out: UInt8) -> None:
        x0, y0, x1, y1 = (int(edge) // 2 * 2 for edge in self.rig.roi)
        np.copyto(self._canvas, self.rest)
        face = planes(self._canvas)
        draw_interior(self.rig, mouth, self.lips.draw(mouth, face), face)
        place, target, rest = self._places[number], planes(out), planes(self.rest)
        gain = np.float32(self._gain(place, target))
        for index, (spoken, still, plane, mask) in enumerate(
            zip(_each(face), _each(rest), _each(target), self._masks(), strict=True)
        ):
            part = np.s_[y0:y1, x0:x1] if index == 0 else np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
            change = _cv2.subtract(spoken[part], still[part], dtype=cv2.CV_32F)
            change *= mask[part] * gain
            where = place if index == 0 else at_half(place)
            _add(plane, change, (part[1].start, part[0].start), where)

    def _masks(self) -> tuple[Float32, Float32, Float32]:
        half = self._mask[::2, ::2]
        return self._mask, half, half

    def _rim_samples(self, place: Float32, frame: Planes) -> tuple[Float32, Float32]:
        """YUV of the reference at rest and of the frame along the rim, (points, 3) each."""
        there = self.rim @ place[:, :2].T + place[:, 2]
        there = np.clip(there, 0, [self.width - 1, self.height - 1])
        return sampled(planes(self.rest), self.rim), sampled(frame, there)

    def _rim_difference(self, place: Float32, frame: Planes) -> list[Float32]:
        """What to add to the reference's Y, U and V so that it meets the frame at the rim: a plane for each."""
        rest, seen = self._rim_samples(place, frame)
        there = self.rim @ place[:, :2].T + place[:, 2]
        middle, spread = there.mean(0), np.ptp(there, axis=0).max()
        system = np.column_stack([np.ones(len(there)), (there - middle) / spread])
        planes_of = fitted(system, seen - rest)
        fields = []
        for index, (a, b, c) in enumerate(planes_of.T):
            step = 1 if index == 0 else 2
            xs = (np.arange(0, self.width, step) - middle[0]) / spread
            ys = (np.arange(0, self.height, step) - middle[1]) / spread
            fields.append((a + b * xs[None] + c * ys[:, None]).astype(np.float32))
        return fields

    def _gain(self, place: Float32, frame: Planes) -> float:
        """How much brighter than the reference the frame is along the rim."""
        rest, seen = self._rim_samples(place, frame)
        return float(np.clip((seen[:, 0].mean() - 16) / max(float(rest[:, 0].mean()) - 16, 1), 0.4, 2.5))


def _each(picture: Planes) -> tuple[UInt8, UInt8, UInt8]:
    return picture.y, picture.u, picture.v


def _mask(rig: Rig, width: int, height: int) -> Float32:
    """Share of the reference in the picture, (height, width): all on the lower face, none outside the roi."""
    e, points = float(rig.eye_distance), rig.landmarks[:, :2]
    x0, y0, x1, y1 = (float(edge) for edge in rig.roi)
    nose, chin = float(points[NOSE_TIP, 1]), float(points[CHIN, 1])
    side = float(np.ptp(points[list(CHEEKS), 0])) / 2
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    middle = float(points[[CHIN, NOSE_TIP], 0].mean())
    centre, tall = (nose + chin) / 2 + 0.10 * e, (chin - nose) / 2 + 0.16 * e
    away = np.sqrt(((xs - middle) / (0.86 * side)) ** 2 + ((ys - centre) / tall) ** 2)
    mask = smoothstep((1 - away) * tall / (_RIM * e) + 0.5)
    room = np.minimum(np.minimum(xs - x0, x1 - 1 - xs), np.minimum(ys - y0, y1 - 1 - ys))
    return np.asarray(mask * smoothstep(room / (0.08 * e)), np.float32)


def _rim(mask: Float32, rig: Rig) -> Float32:
    """Points along the mask's edge, (n, 2), but for those beneath the chin: there neck or background may show."""
    return rim_of(mask, float(rig.seam[:, 1].max()) + 0.25 * float(rig.eye_distance))


def _add(plane: UInt8, change: Float32, corner: tuple[int, int], place: Float32) -> None:
    """Add `change`, a box of the reference from `corner` on, to `plane` where `place` says; only there."""
    height, width = change.shape
    ends = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32) + corner
    there = ends @ place[:, :2].T + place[:, 2]
    x0, y0 = np.maximum(np.floor(there.min(0)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(there.max(0)).astype(int) + 1, plane.shape[::-1])
    if x1 <= x0 or y1 <= y0:
        return
    local = place.copy()
    local[:, 2] += place[:, :2] @ np.asarray(corner, np.float32) - (x0, y0)
    moved = _cv2.warpAffine(change, local, (int(x1 - x0), int(y1 - y0)), flags=cv2.INTER_CUBIC)
    below = plane[y0:y1, x0:x1]
    below[:] = _cv2.add(below, moved, dtype=cv2.CV_8U)

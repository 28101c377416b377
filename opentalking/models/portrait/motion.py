"""The idle loop: 200 poses (8 s) of a head that sways, a chest that breathes and eyes that blink, without a seam.

Now and then they glance aside, mostly under cover of a blink, as people do.

Every motion is a sum of harmonics of the loop, so pose 199 runs into pose 0. The head moves as a field on a coarse
grid: roll about the neck, yaw and pitch that shift near points (nose) more than far ones, breathing that lifts the
shoulders. The fields are exactly zero away from the person and at the picture's edges: nothing is stretched in from
outside, and a still background costs the encoder nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from opentalking.models.planes import Planes, identity_map, planes, remap_chroma, remap_luma, resized
from opentalking.models.portrait.eyes import patch_of
from opentalking.models.portrait.fields import grid, smoothstep
from opentalking.models.portrait.shapes import CHEEKS, CHIN, FOREHEAD, NOSE_BRIDGE
from opentalking.types import Float32

if TYPE_CHECKING:
    from opentalking.models.portrait.rig import Rig

IDLE_FRAMES = 200
_STEP = 8  # pixels between nodes of the head fields
_BLINKS = (31, 96, 171)  # poses at which the eyes begin to close
_BLINK_LEVELS = (1, 3, 2, 1, 0)  # frame by frame, indices into eyes.LEVELS

_GLANCES = ((33, 58, 1), (98, 113, 3), (131, 147, 2), (173, 189, 1))  # from which pose to which, of gaze.GLANCES

Box = tuple[int, int, int, int]


def _harmonics(*terms: tuple[float, int, float]) -> Float32:
    """Sum of amplitude * sin(harmonic * loop + phase) at every pose."""
    loop = 2 * np.pi * np.arange(IDLE_FRAMES) / IDLE_FRAMES
    return np.asarray(sum(a * np.sin(h * loop + phase) for a, h, phase in terms), np.float32)


POSES: Float32 = np.stack(
    [
        _harmonics((0.015, 1, 0.0), (0.008, 2, 1.0), (0.003, 5, 2.0)),  # roll, radians
        _harmonics((0.026, 1, 0.5), (0.013, 3, 2.2)),  # yaw, radians
        _harmonics((0.012, 2, 2.0), (0.008, 3, 0.4)),  # pitch, radians
        _harmonics((1.0, 2, 0.0)),  # breath, -1..1
    ],
    axis=1,
)
"""(200, 4): how much of each head field every pose takes."""


def blink_level(pose: int) -> int | None:
    """How far the lids of a pose are down, index into eyes.LEVELS, or None for open eyes."""
    for start in _BLINKS:
        if 0 <= pose - start < len(_BLINK_LEVELS):
            return _BLINK_LEVELS[pose - start]
    return None


def glance(pose: int) -> int:
    """Which of gaze.GLANCES a pose shows; 0 is the picture's own gaze."""
    return next((index for start, end, index in _GLANCES if start <= pose < end), 0)


def build_fields(points: Float32, eye_distance: float, width: int, height: int) -> tuple[Float32, Box]:
    """The four fields, float32 (4, nodes * 2) over the box they are confined to, and that box (even, in pixels)."""
    columns, rows = width // _STEP, height // _STEP
    nodes = grid(0, 0, columns, rows, _STEP).astype(np.float64)
    x, y = nodes[..., 0], nodes[..., 1]
    centre = points[[NOSE_BRIDGE, CHIN]].mean(0)
    chin = float(points[CHIN, 1])
    half = float(np.ptp(points[list(CHEEKS), 0])) / 2

    # 1 on the head, 0 away from it, and 0 at the side edges however close they are
    reach = 1.3 * half
    room = np.minimum(np.where(x < centre[0], centre[0], width - centre[0]) - reach, 0.55 * eye_distance)
    beside = 1 - smoothstep((np.abs(x - centre[0]) - reach) / np.maximum(room - _STEP, 1))
    below = smoothstep((min(chin + 0.9 * eye_distance, height - 2 * _STEP) - y) / (1.2 * eye_distance))
    head = beside * below
    # nothing is pulled in over the upper edge
    upright = smoothstep((y - _STEP / 2) / (0.25 * eye_distance))

    neck = np.array([points[CHIN, 0], chin + 0.45 * eye_distance])
    roll = np.stack([-(y - neck[1]), (x - neck[0]) * upright], -1)
    face = points[[FOREHEAD, CHIN, *CHEEKS]].mean(0)
    ellipse = ((x - face[0]) / (0.95 * eye_distance)) ** 2 + ((y - face[1]) / (1.25 * eye_distance)) ** 2
    depth = cv2.GaussianBlur(np.sqrt(np.clip(1 - ellipse, 0, 1)), (0, 0), 2.4) * 0.9 * eye_distance
    depth = depth + 0.25 * eye_distance
    still = np.zeros_like(depth)
    chest = smoothstep((y - chin - 0.1 * eye_distance) / (0.7 * eye_distance))
    chest = chest * smoothstep((height - 1.5 * _STEP - y) / (0.45 * eye_distance))
    chest = chest * smoothstep((np.minimum(x, width - 1 - x) - _STEP) / (0.5 * eye_distance))
    breath = np.stack([still, -0.014 * eye_distance * chest], -1)
    fields = np.stack(
        [
            roll * head[..., None],
            np.stack([depth, still], -1) * head[..., None],
            np.stack([still, depth * upright], -1) * head[..., None],
            breath,
        ]
    ).astype(np.float32)
    return _confine(fields)


def _confine(fields: Float32) -> tuple[Float32, Box]:
    """Cut the fields to the nodes that ever move a pixel by a 64th (remap's precision is a 32nd), with a zero rim."""
    largest = np.abs(POSES).max(0)
    moves = (np.abs(fields) * largest[:, None, None, None]).sum(0).max(-1) > 1 / 64
    rows, columns = np.flatnonzero(moves.any(1)), np.flatnonzero(moves.any(0))
    top, bottom = max(0, rows[0] - 1), min(moves.shape[0], rows[-1] + 2)
    left, right = max(0, columns[0] - 1), min(moves.shape[1], columns[-1] + 2)
    cut = np.ascontiguousarray((fields * moves[None, ..., None])[:, top:bottom, left:right])
    box = (int(left) * _STEP, int(top) * _STEP, int(right) * _STEP, int(bottom) * _STEP)
    return cut.reshape(len(fields), -1), box


class HeadMotion:
    """Draws the moving head of one rig."""

    def __init__(self, rig: Rig) -> None:
        x0, y0, x1, y1 = (int(edge) for edge in rig.head_box)
        self._box = x0, y0, x1, y1
        self._fields = rig.head
        self._nodes = (y1 - y0) // _STEP, (x1 - x0) // _STEP, 2
        self._luma = identity_map(x1 - x0, y1 - y0, x0, y0)
        self._chroma = identity_map((x1 - x0) // 2, (y1 - y0) // 2, x0 // 2, y0 // 2)
        self._around_mouth = self._reach_of(rig)
        self._eyes = list(zip(rig.eye_boxes.astype(int).tolist(), (rig.eye_right, rig.eye_left), strict=True))

    def eyes(self, pose: int, face: Planes) -> None:
        """Lay the eyes of that pose over the unmoved face."""
        index = patch_of(glance(pose), blink_level(pose))
        if index is None:
            return
        for (x0, y0, x1, y1), patches in self._eyes:
            patch = planes(patches[index])
            face.y[y0:y1, x0:x1] = patch.y
            face.u[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = patch.u
            face.v[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2] = patch.v

    def _reach_of(self, rig: Rig) -> Box:
        """The box, on whole nodes, outside of which no pose shows a pixel of the mouth's surroundings."""
        x0, y0, x1, y1 = self._box
        furthest = float(np.abs(POSES @ self._fields).max()) + 3  # and what bicubic interpolation looks at
        left, top, right, bottom = (int(edge) for edge in rig.roi)
        return (
            max(x0, x0 + int(left - furthest - x0) // _STEP * _STEP),
            max(y0, y0 + int(top - furthest - y0) // _STEP * _STEP),
            min(x1, x0 - (x0 - int(right + furthest) - 1) // _STEP * _STEP),
            min(y1, y0 - (y0 - int(bottom + furthest) - 1) // _STEP * _STEP),
        )

    def draw(self, pose: int, face: Planes, out: Planes, mouth_alone: bool = False) -> None:
        """The face as the head of that pose shows it. `out` must already hold what lies outside the head's box, or,
        with `mouth_alone`, the idle picture of that pose: then only the mouth's surroundings are drawn."""
        x0, y0, x1, y1 = self._around_mouth if mouth_alone else self._box
        left, top = (x0 - self._box[0]) // _STEP, (y0 - self._box[1]) // _STEP
        rows, columns = (y1 - y0) // _STEP, (x1 - x0) // _STEP
        # one spare node on each side, for cv2.resize repeats the outermost
        above, before = min(top, 1), min(left, 1)
        moved: Float32 = (POSES[pose] @ self._fields).reshape(self._nodes)
        moved = moved[top - above : top + rows + 1, left - before : left + columns + 1]
        luma = self._moved(moved, (above, before), (y1 - y0, x1 - x0), _STEP)
        chroma = self._moved(moved * np.float32(0.5), (above, before), ((y1 - y0) // 2, (x1 - x0) // 2), _STEP // 2)
        at = np.s_[y0 - self._box[1] : y1 - self._box[1], x0 - self._box[0] : x1 - self._box[0]]
        at_half = np.s_[at[0].start // 2 : at[0].stop // 2, at[1].start // 2 : at[1].stop // 2]
        np.subtract(self._luma[at], luma, out=luma)
        np.subtract(self._chroma[at_half], chroma, out=chroma)
        remap_luma(face.y, luma, out.y[y0:y1, x0:x1])
        half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
        remap_chroma(face.u, chroma, out.u[half])
        remap_chroma(face.v, chroma, out.v[half])

    @staticmethod
    def _moved(nodes: Float32, spare: tuple[int, int], shape: tuple[int, int], step: int) -> Float32:
        """The nodes at full size, without the spare ones: a copy of (rows, columns, 2)."""
        full = resized(nodes, (nodes.shape[1] * step, nodes.shape[0] * step))
        above, before = spare[0] * step, spare[1] * step
        return np.ascontiguousarray(full[above : above + shape[0], before : before + shape[1]])

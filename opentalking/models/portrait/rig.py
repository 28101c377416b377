"""All that one picture needs for talking, computed once from its landmarks.

    picture ─ landmarks ─ face shapes ─┬─ two mouth fields: one without the lower lip, one without the upper
                                       ├─ the line where the lips meet
                                       ├─ teeth and tongue at this mouth's size and light
                                       ├─ head fields (motion.py)
                                       └─ patches of eyes that blink and glance (eyes.py)

A rig is a plain set of arrays, so that cache.py can keep it on disk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opentalking.avatars.landmarks import LIP_LOWER_INNER_MID
from opentalking.models.planes import to_i420
from opentalking.models.portrait import eyes, motion, sprites
from opentalking.models.portrait.fields import grid, thin_plate
from opentalking.models.portrait.rest import closed_seam, closing, met_seam, unsmiling, without_teeth
from opentalking.models.portrait.shapes import (
    CHIN,
    INNER_LOWER,
    INNER_UPPER,
    LOWER_LIP,
    NOSE_MID,
    UPPER_LIP,
    fit_shapes,
)
from opentalking.models.portrait.sharpness import sharpened, softness
from opentalking.models.portrait.visemes import SHAPES
from opentalking.types import Float32, UInt8

RIG_VERSION = 2  # raise when anything here or in what it calls changes: cached rigs are then rebuilt
STEP = 4  # pixels between nodes of the mouth fields
_TAPER_NODES = 6  # over this many nodes the mouth fields fade out at their border
_SMOOTHING = 2.0  # px²


@dataclass(frozen=True)
class Rig:
    """Arrays only. K = shapes + 1; the last row closes the mouth of a picture that shows it open (else zero)."""

    source: UInt8  # I420 of the picture
    landmarks: Float32  # (468, 3) of the face in it
    roi: Float32  # x0, y0, x1, y1 of what the mouth moves, multiples of STEP apart, even
    upper: Float32  # (K, rows * columns * 2) displacement of everything but the lower lip, pixels
    lower: Float32  # the same of everything but the upper lip
    seam: Float32  # (11, 2) where the closed lips meet
    seam_upper: Float32  # (K, 11, 2) displacement of that line on the upper lip
    seam_lower: Float32
    eye_distance: Float32  # (), outer corners, pixels
    jaw_drop: Float32  # (), how far jawOpen = 1 takes the lower lip down, pixels
    teeth_upper: Float32  # (h, w, 4) centred YUV times alpha, and alpha
    teeth_lower: Float32
    tongue: Float32
    teeth_at: Float32  # (2,) where the upper teeth are: column of their middle, first row
    flesh: Float32  # (3,) centred YUV of what lies in the shade of the lips
    gloom: Float32  # () how much of that shade there is, 0..1
    head: Float32  # (4, rows * columns * 2) roll, yaw, pitch, breath
    head_box: Float32  # x0, y0, x1, y1 outside of which the head fields are zero
    eye_boxes: Float32  # (2, 4)
    eye_right: UInt8  # (eyes.PATCHES, I420 of the box) the person's right eye under other glances and lids
    eye_left: UInt8


def build_rig(bgr: UInt8, landmarks: Float32, drawn: bool = False, filmed: bool = False) -> Rig:
    """The rig of a picture, uint8 BGR (height, width, 3) with even sides, and its landmarks (468, 3).

    `drawn` characters get one white band for teeth and painted lids. A soft picture is sharpened a little, unless it is
    of a `filmed` person: it must look like the frames of the video."""
    points = landmarks[:, :2]
    soft_px = 0.0 if drawn else softness(bgr, points)
    if not filmed:
        bgr = sharpened(bgr, soft_px)
    shapes = fit_shapes(landmarks)
    closed, is_open = closing(points, shapes)
    moved = np.concatenate([unsmiling(points, shapes), closed[None]])
    box = _mouth_box(points, shapes.eye_distance, bgr.shape[1], bgr.shape[0])
    seam = met_seam(points, closed) if is_open else closed_seam(bgr, points, shapes.eye_distance)
    seam_upper, seam_lower = moved[:, INNER_UPPER].copy(), moved[:, INNER_LOWER].copy()
    seam_upper[-1] = seam_lower[-1] = 0  # the seam is where the lips meet once closed
    inside = sprites.build_sprites(
        bgr,
        landmarks,
        seam,
        eye_distance=shapes.eye_distance,
        drawn=drawn,
        is_open=is_open,
        soft_px=soft_px,
    )
    head, head_box = motion.build_fields(points, shapes.eye_distance, bgr.shape[1], bgr.shape[0])
    eye_boxes, (eye_right, eye_left) = eyes.build_patches(bgr, points, shapes.eye_distance, drawn)
    return Rig(
        source=to_i420(without_teeth(bgr, points, shapes.eye_distance) if is_open else bgr),
        landmarks=landmarks.astype(np.float32),
        roi=np.array(box, np.float32),
        upper=_mouth_field(points, moved, box, LOWER_LIP),
        lower=_mouth_field(points, moved, box, UPPER_LIP),
        seam=seam,
        seam_upper=seam_upper,
        seam_lower=seam_lower,
        eye_distance=np.array(shapes.eye_distance, np.float32),
        jaw_drop=shapes.displacements[SHAPES.index("jawOpen"), LIP_LOWER_INNER_MID, 1].reshape(()),
        teeth_upper=inside.teeth_upper,
        teeth_lower=inside.teeth_lower,
        tongue=inside.tongue,
        teeth_at=inside.teeth_at,
        flesh=inside.flesh,
        gloom=inside.gloom,
        head=head,
        head_box=np.array(head_box, np.float32),
        eye_boxes=np.array(eye_boxes, np.float32),
        eye_right=eye_right,
        eye_left=eye_left,
    )


def _mouth_box(points: Float32, eye_distance: float, width: int, height: int) -> tuple[int, int, int, int]:
    """What a moving mouth may touch: from the middle of the nose to the neck, cheek to cheek."""
    margin = 0.12 * eye_distance
    x0 = int(max(0, points[:, 0].min() - margin)) // 2 * 2
    y0 = int(max(0, points[NOSE_MID, 1])) // 2 * 2
    x1 = int(min(width, points[:, 0].max() + margin))
    y1 = int(min(height, points[CHIN, 1] + 0.62 * eye_distance))
    return x0, y0, x0 + (x1 - x0) // STEP * STEP, y0 + (y1 - y0) // STEP * STEP


def _mouth_field(points: Float32, moved: Float32, box: tuple[int, int, int, int], without: frozenset[int]) -> Float32:
    """Displacements (K, 468, 2) spread over the box's grid, zero at its border; the `without` lip has no say."""
    x0, y0, x1, y1 = box
    columns, rows = (x1 - x0) // STEP, (y1 - y0) // STEP
    used = [i for i in range(len(points)) if i not in without and points[i, 1] > y0 - 10]
    xs, ys = np.linspace(x0 - 6, x1 + 6, 14), np.linspace(y0, y1, 14)
    ring = np.concatenate(
        [np.column_stack([xs, np.full(14, y)]) for y in (y0 - 4, y1 + 4)]
        + [np.column_stack([np.full(14, x), ys]) for x in (x0 - 6, x1 + 6)]
    )
    known = moved[:, used].transpose(1, 0, 2).reshape(len(used), -1)
    values = np.concatenate([known, np.zeros((len(ring), known.shape[1]))])
    nodes = grid(x0, y0, columns, rows, STEP).reshape(-1, 2)
    field = thin_plate(np.concatenate([points[used], ring]), values, nodes, _SMOOTHING)
    taper = np.minimum.outer(_border_taper(rows), _border_taper(columns))
    shaped = field.reshape(rows, columns, len(moved), 2).transpose(2, 0, 1, 3) * taper[None, :, :, None]
    return np.ascontiguousarray(shaped.reshape(len(moved), -1), np.float32)


def _border_taper(nodes: int) -> Float32:
    index = np.arange(nodes, dtype=np.float32)
    return np.clip(np.minimum(index, index[::-1]) / _TAPER_NODES, 0, 1)

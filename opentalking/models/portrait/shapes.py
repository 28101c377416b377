"""Face shapes of a CC0 head, laid onto the landmarks of a picture.

`data/arkit468.npz` holds 52 face shapes (ARKit's names) of the MakeHuman head, sampled at the 468 landmarks, in units
of the distance between the outer eye corners; x right, y down, z away. A similarity transform from that head to the
picture's landmarks turns each shape into a displacement in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opentalking.avatars.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from opentalking.models.portrait.visemes import SHAPES
from opentalking.types import Float32

DATA = Path(__file__).parent / "data"

# the line where the lips meet, from the person's right corner to the left, on either lip
INNER_UPPER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
INNER_LOWER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
UPPER_LIP = frozenset(
    (
        *INNER_UPPER[1:-1],
        0,
        37,
        39,
        40,
        185,
        267,
        269,
        270,
        409,
        72,
        73,
        74,
        11,
        302,
        303,
        304,
        12,
        38,
        41,
        42,
        268,
        271,
        272,
        183,
        407,
        184,
        408,
    )
)
LOWER_LIP = frozenset(
    (
        *INNER_LOWER[1:-1],
        146,
        91,
        181,
        84,
        17,
        314,
        405,
        321,
        375,
        15,
        16,
        85,
        180,
        90,
        77,
        315,
        404,
        320,
        307,
        86,
        179,
        89,
        96,
        316,
        403,
        319,
        325,
    )
)
MOUTH_CORNERS = (61, 291)
# upper and lower lid from corner to corner, the person's right eye and left eye
RIGHT_EYE = ([33, 246, 161, 160, 159, 158, 157, 173, 133], [33, 7, 163, 144, 145, 153, 154, 155, 133])
LEFT_EYE = ([362, 398, 384, 385, 386, 387, 388, 466, 263], [362, 382, 381, 380, 374, 373, 390, 249, 263])
LOWER_LIP_MID, CHIN, FOREHEAD, NOSE_TIP, NOSE_BRIDGE, NOSE_MID = 17, 152, 10, 4, 168, 197
CHEEKS = (234, 454)
_ROUNDER = (
    ("jawOpen", 0.6, 0.7),
    ("mouthFunnel", 0.45, 0.35),
)  # shape, how round, how far the lip's outer edge follows
_LOWER_OUTER = (146, 91, 181, 84, 17, 314, 405, 321, 375)
_JAW_Y = 0.55  # points of the head above this move with the skull only: they carry the fit


@dataclass(frozen=True, slots=True)
class FittedShapes:
    """`displacements` float32 (10, 468, 2) in pixels, one row a shape of visemes.SHAPES; `eye_distance` in pixels."""

    displacements: Float32
    eye_distance: float


def fit_shapes(landmarks: Float32) -> FittedShapes:
    """The shapes as displacements in the picture with these landmarks, (468, 3)."""
    with np.load(DATA / "arkit468.npz", allow_pickle=False) as stored:
        names = [str(name) for name in stored["names"]]
        table, head = stored["B"].astype(np.float64), stored["P0"].astype(np.float64)
    steady = [i for i in range(len(head)) if i not in UPPER_LIP | LOWER_LIP and head[i, 1] < _JAW_Y]
    scale, rotation = _similarity(head[steady], landmarks[steady].astype(np.float64))
    moved = np.stack([scale * (_shape(names, table, shape) @ rotation.T) for shape in SHAPES])
    moved = _rounder(moved[..., :2], landmarks[:, :2])
    eyes = np.linalg.norm(landmarks[RIGHT_EYE_OUTER, :2] - landmarks[LEFT_EYE_OUTER, :2])
    return FittedShapes(moved.astype(np.float32), float(eyes))


def _rounder(moved: Float32, points: Float32) -> Float32:
    """The shapes, (10, 468, 2), whose lower lip hangs from its middle like a wedge made to hang like a bow.

    With few points across a lip the head's opening comes out pointed; lips under tension are round."""
    for shape, power, outer in _ROUNDER:
        down = moved[SHAPES.index(shape), :, 1]
        corners = np.interp(points[:, 0], points[INNER_LOWER][[0, -1], 0], down[INNER_LOWER][[0, -1]])
        drop = down[INNER_LOWER] - corners[INNER_LOWER]
        share = np.clip(drop / drop.max(), 0, 1)
        lift = drop.max() * share**power - np.maximum(drop, 0)
        lower = sorted(LOWER_LIP)
        follows = np.where(np.isin(lower, _LOWER_OUTER), outer, 1.0)
        down[lower] += follows * np.interp(points[lower, 0], points[INNER_LOWER, 0], lift)
    return moved


def _shape(names: list[str], table: Float32, shape: str) -> Float32:
    """One shape of the table; those that exist for each side only are both sides together."""
    if shape in names:
        return np.asarray(table[names.index(shape)])
    return np.asarray(table[names.index(shape + "Left")] + table[names.index(shape + "Right")])


def _similarity(source: Float32, target: Float32) -> tuple[float, Float32]:
    """Scale and rotation that take `source` nearest to `target` (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, singular, vt = np.linalg.svd(b.T @ a / len(a))
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    return float((singular * signs).sum() / a.var(0).sum()), np.asarray(u @ np.diag(signs) @ vt)

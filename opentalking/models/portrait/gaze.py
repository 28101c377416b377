"""Glances: the picture with its irises moved a little inside the eyes' openings."""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.models.portrait.fields import smoothstep
from opentalking.models.portrait.shapes import LEFT_EYE, RIGHT_EYE
from opentalking.types import Float32, UInt8

GLANCES: tuple[tuple[float, float], ...] = ((0.0, 0.0), (-0.024, 0.002), (0.022, 0.003), (0.010, 0.012))
"""How far the iris moves, eye distances; the first is the picture's own gaze. About 0.065 is an iris' radius."""

_RADIUS = 0.065  # of an iris: 11.7 mm across, the outer eye corners 90 mm apart
_CONTRAST = 25  # grey levels by which an iris must be darker than the rest of the eye
_EDGE = 1.5  # pixels over which the movement ends at the lids


def glancing(
    bgr: UInt8, points: Float32, eye_distance: float, white_below: tuple[float, float], beyond: float = 0.0
) -> list[UInt8]:
    """The picture under each of GLANCES; unchanged where no iris can be told from its white.

    `white_below` is how far the white of the right and the left eye reaches below the lower lid's landmarks, pixels;
    `beyond`, eye distances, how far above those of the upper lid large drawn eyes begin."""
    pictures = [bgr] + [bgr.copy() for _ in GLANCES[1:]]
    for (upper, lower), below in zip((RIGHT_EYE, LEFT_EYE), white_below, strict=True):
        lids = (
            points[upper] - np.array([0, beyond * eye_distance], np.float32),
            points[lower] + np.array([0, below], np.float32),
        )
        found = _iris(bgr, *lids, eye_distance)
        if found is None:
            continue
        for picture, glance in zip(pictures[1:], GLANCES[1:], strict=True):
            _turn(picture, bgr, lids, found, np.array(glance, np.float32) * np.float32(eye_distance))
    return pictures


def _opening(upper: Float32, lower: Float32, xs: Float32, ys: Float32, edge: float = _EDGE) -> Float32:
    """1 between the lids, 0 on them: (rows, columns)."""
    top, bottom = (np.interp(xs, lid[:, 0], lid[:, 1]) for lid in (upper, lower))
    return np.asarray(np.clip((ys - top) / edge, 0, 1) * np.clip((bottom - ys) / edge, 0, 1), np.float32)


def _iris(bgr: UInt8, upper: Float32, lower: Float32, eye_distance: float) -> tuple[Float32, float] | None:
    """Centre and radius of the iris, pixels, or None: the dark that stands out of the eye's white."""
    low = np.floor(np.minimum(upper.min(0), lower.min(0))).astype(int)
    high = np.ceil(np.maximum(upper.max(0), lower.max(0))).astype(int)
    xs, ys = np.arange(low[0], high[0], dtype=np.float32), np.arange(low[1], high[1], dtype=np.float32)[:, None]
    luma = cv2.cvtColor(bgr[low[1] : high[1], low[0] : high[0]], cv2.COLOR_BGR2GRAY).astype(np.float32)
    inside = _opening(upper, lower, xs, ys, edge=0.015 * eye_distance) == 1
    if inside.sum() < 30:
        return None
    white, dark = np.percentile(luma[inside], [80, 15])
    weight = np.clip((0.5 * (white + dark) - luma) / max(0.5 * float(white - dark), 1), 0, 1) * inside
    if white - dark < _CONTRAST or weight.sum() < 10:
        return None
    x, y = float((weight * xs).sum() / weight.sum()), float((weight * ys).sum() / weight.sum())
    spread = float(np.sqrt((weight * (xs - x) ** 2).sum() / weight.sum()))  # of a disc: half its radius
    middle = (upper[0, 0] + upper[-1, 0]) / 2
    if abs(x - middle) > 0.3 * np.ptp(upper[:, 0]) or spread > 0.3 * np.ptp(upper[:, 0]):
        return None
    return np.array([x, y], np.float32), max(_RADIUS * eye_distance, 2 * spread)


def _turn(
    picture: UInt8, bgr: UInt8, lids: tuple[Float32, Float32], iris: tuple[Float32, float], shift: Float32
) -> None:
    """Draw the eye into `picture` with its iris moved by `shift` pixels; what is beside it is squeezed or stretched."""
    centre, radius = iris
    reach = int(np.ceil(2.2 * radius))
    x0, y0 = np.maximum(centre.astype(int) - reach, 0)
    x1, y1 = np.minimum(centre.astype(int) + reach + 1, bgr.shape[1::-1])
    xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    distance = np.hypot(xs - centre[0] - shift[0], ys - centre[1] - shift[1])
    moved = smoothstep((2.0 * radius - distance) / (0.9 * radius))
    where = np.stack([xs + 0 * ys - moved * shift[0], ys + 0 * xs - moved * shift[1]], -1).astype(np.float32)
    turned = cv2.remap(bgr, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    share = _opening(*lids, xs, ys)[..., None]
    here = bgr[y0:y1, x0:x1].astype(np.float32)
    picture[y0:y1, x0:x1] = (here + (turned - here) * share).round()

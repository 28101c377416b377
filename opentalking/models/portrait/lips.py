"""Per frame: the lips, cheeks and jaw of the picture, moved.

    parameters ─weights of fields─> two displacements on the coarse grid (12 numbers → 65 x 65 nodes)
               ─inverted─> where each pixel comes from ─enlarged─> full size ─remap─> pixels

Lips slide past each other, which no smooth field does. So there are two: above the line where the lips meet every pixel
follows the field that knows the upper lip, below it the one that knows the lower. Mixing them at the line would pull
pixels through the closed mouth; the cut is hard and softened by one row afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from opentalking.models.planes import (
    Planes,
    identity_map,
    planes,
    remap_chroma,
    remap_luma,
    resampled,
    resized,
)
from opentalking.models.portrait.visemes import SHAPES
from opentalking.types import Float32

if TYPE_CHECKING:
    from opentalking.models.portrait.rig import Rig

_STEP = 4  # pixels between nodes, as in rig.py
_SOFT_FROM = 0.05  # strength of the strongest shape from which the cut is softened in full
_INVERSIONS = 3  # fixed-point steps; the fields are gentle, the third changes less than a tenth of a pixel


@dataclass(frozen=True, slots=True)
class LipLines:
    """The inner edges of both lips, per picture column from `x0` on: rows of the upper and the lower, float32."""

    x0: int
    upper: Float32
    lower: Float32


class LipWarp:
    """Moves the mouth of one rig."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        x0, y0, x1, y1 = (int(edge) for edge in rig.roi)
        self._x0, self._y0, self._width, self._height = x0, y0, x1 - x0, y1 - y0
        self._source = planes(rig.source)
        self._closes = bool(rig.upper[-1].any())  # the picture's own mouth is open
        self._nodes = self._height // _STEP, self._width // _STEP, 2
        self._node_index = identity_map(self._nodes[1], self._nodes[0])
        self._luma = identity_map(self._width, self._height, x0, y0)
        self._chroma = identity_map(self._width // 2, self._height // 2, x0 // 2, y0 // 2)
        self._map = np.empty((self._height, self._width, 2), np.float32)  # scratch; calls come from one thread
        self._rows = np.arange(self._height, dtype=np.float32)[:, None] + np.float32(y0)

    def draw(self, mouth: Float32, face: Planes) -> LipLines:
        """Draw the mouth's surroundings with these parameters, (12,), into `face`; where the lips' edges are now."""
        weights = np.append(mouth[: len(SHAPES)], np.float32(1))
        lines = self._lines(weights)
        seam = (lines.upper + lines.lower) * np.float32(0.5)
        self._displace(weights, seam)
        x0, y0, x1, y1 = self._x0, self._y0, self._x0 + self._width, self._y0 + self._height
        chroma = self._map[::2, ::2] * np.float32(0.5) + self._chroma
        self._map += self._luma
        remap_luma(self._source.y, self._map, face.y[y0:y1, x0:x1])
        half = np.s_[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
        remap_chroma(self._source.u, chroma, face.u[half])
        remap_chroma(self._source.v, chroma, face.v[half])
        self._soften(seam, weights, face)
        return lines

    def _displace(self, weights: Float32, seam: Float32) -> None:
        """Fill the map with displacements: the upper field above the seam, the lower field below it."""
        upper = self._inverted(weights @ self._rig.upper)
        lower = self._inverted(weights @ self._rig.lower)
        first = max(0, int(seam.min()) - self._y0)  # rows above follow the upper field alone
        last = min(self._height, int(seam.max()) - self._y0 + 2)  # rows from here on the lower alone
        # one spare node on each side, for cv2.resize repeats the outermost
        upper_nodes = min(self._nodes[0], last // _STEP + 2)
        lower_from = max(0, first // _STEP - 1)
        above = _enlarged(upper[:upper_nodes], self._width)
        self._map[lower_from * _STEP :] = _enlarged(lower[lower_from:], self._width)
        self._map[:first] = above[:first]
        over = self._rows[first:last] < seam
        np.copyto(self._map[first:last], above[first:last], where=over[..., None])

    def _inverted(self, displacement: Float32) -> Float32:
        """From "where does this node go" to "where does what is seen here come from, relative to here"."""
        field = displacement.reshape(self._nodes)
        back = -field
        for _ in range(_INVERSIONS):
            there = self._node_index + back * np.float32(1 / _STEP)
            back = -resampled(field, there)
        return back

    def _lines(self, weights: Float32) -> LipLines:
        columns = np.arange(self._x0, self._x0 + self._width, dtype=np.float32)
        rig = self._rig
        upper = rig.seam + np.tensordot(weights, rig.seam_upper, 1)
        lower = rig.seam + np.tensordot(weights, rig.seam_lower, 1)
        return LipLines(self._x0, _curve(upper, columns), _curve(lower, columns))

    def _soften(self, seam: Float32, weights: Float32, face: Planes) -> None:
        """Blur the cut by one row where the lips touch; not in the picture as it is, so by degrees."""
        amount = 1.0 if self._closes else min(1.0, float(np.abs(weights[:-1]).max()) / _SOFT_FROM)
        if amount == 0:
            return
        ends = self._rig.seam[[0, -1], 0]
        columns = np.arange(int(ends[0]), int(ends[1]) + 1)
        rows = seam[columns - self._x0].astype(int)
        y = face.y
        line = y[rows, columns].astype(np.float32)
        around = (y[rows - 1, columns].astype(np.float32) + y[rows + 1, columns]) / 2
        y[rows, columns] = np.rint(line + (around - line) * np.float32(amount / 2))


def _enlarged(nodes: Float32, width: int) -> Float32:
    return resized(nodes, (width, nodes.shape[0] * _STEP))


_FINE = 4  # pieces between two points of a lip line


def _curve(points: Float32, columns: Float32) -> Float32:
    """The row of a smooth curve through the points (n, 2) at each column; level beyond its ends."""
    before = np.concatenate([2 * points[:1] - points[1:2], points[:-2]])
    start, end = points[:-1], points[1:]
    after = np.concatenate([points[2:], 2 * points[-1:] - points[-2:-1]])
    t = (np.arange(_FINE, dtype=np.float32) / _FINE)[None, :, None]
    p0, p1, p2, p3 = (part[:, None] for part in (before, start, end, after))
    # Catmull-Rom
    fine = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * (p1 - p2) + p3 - p0) * t**3)
    line = np.concatenate([fine.reshape(-1, 2), points[-1:]])
    xs = np.maximum.accumulate(line[:, 0])  # strong rounding can fold the corners over
    return np.asarray(np.interp(columns, xs, line[:, 1]), np.float32)

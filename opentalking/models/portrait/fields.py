"""Smooth displacement fields from a few points whose displacement is known: thin-plate splines on a coarse grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opentalking.types import Float32

Array = NDArray[np.float32] | NDArray[np.float64]


def thin_plate(points: Array, values: Array, at: Array, smoothing: float) -> Float32:
    """The thin-plate spline through `values` (n, k) at `points` (n, 2), evaluated at `at` (m, 2) -> float32 (m, k).

    Of all surfaces that pass near the values it bends least; `smoothing` (pixels squared) says how near."""
    points, at = np.asarray(points, np.float64), np.asarray(at, np.float64)
    middle, spread = points.mean(0), float(np.ptp(points, axis=0).max())
    affine = np.column_stack([np.ones(len(points)), (points - middle) / spread])
    kernel = _radial(points, points)
    kernel[np.diag_indices_from(kernel)] += smoothing
    system = np.block([[kernel, affine], [affine.T, np.zeros((3, 3))]])
    solved = np.linalg.solve(system, np.vstack([values, np.zeros((3, values.shape[1]))]))
    weights, plane = solved[: len(points)], solved[len(points) :]
    there = np.column_stack([np.ones(len(at)), (at - middle) / spread])
    return np.asarray(_radial(at, points) @ weights + there @ plane, np.float32)


def _radial(a: Array, b: Array) -> NDArray[np.float64]:
    """r² log r between all points of `a` and `b`."""
    squared: NDArray[np.float64] = ((a[:, None] - b[None]) ** 2).sum(-1)
    return np.asarray(0.5 * squared * np.log(np.maximum(squared, 1e-12)))


def smoothstep(value: Array) -> Float32:
    """0 below 0, 1 above 1, with level ends between."""
    clipped = np.clip(np.asarray(value, np.float32), 0, 1)
    return np.asarray(clipped * clipped * (3 - 2 * clipped), np.float32)


def grid(x0: int, y0: int, columns: int, rows: int, step: int) -> Float32:
    """Pixel positions of a coarse grid's nodes, (rows, columns, 2): the centres of `step`-sized cells, so that
    cv2.resize by `step` puts every node back where it was."""
    xs = x0 + (np.arange(columns) + 0.5) * step - 0.5
    ys = y0 + (np.arange(rows) + 0.5) * step - 0.5
    return np.stack(np.meshgrid(xs, ys), -1).astype(np.float32)

"""Arrays of numbers and points, (n, 3), and two things everybody does with them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
Int32: TypeAlias = NDArray[np.int32]


def smoothstep(low: float, high: float, x: Floats) -> Floats:
    """0 at `low`, 1 at `high`, level at both; `low` may be the larger."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def unit(vectors: Floats) -> Floats:
    """The vectors, (..., 3), with length 1."""
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))

"""Which way a head looks, from its 468 points: the rotation that lays a head seen from the front onto them.

That head is `weights/head468.npy`, (468, 3): the CC0 head of the face shapes, neutral, in units of the distance between
the outer eye corners; x right, y down, z away, looking at the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opentalking.types import Float32

_HEAD = Path(__file__).parent / "weights" / "head468.npy"
_STEADY_Y = 0.35  # points of the head above this do not move with the jaw


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Degrees. yaw: positive to the person's left; pitch: positive up; roll: positive leans to the picture's right."""

    yaw: float
    pitch: float
    roll: float


@lru_cache(maxsize=1)
def _head() -> tuple[Float32, NDArray[np.intp]]:
    """The head's points, float32 (468, 3), and which of them are steady."""
    head = np.asarray(np.load(_HEAD, allow_pickle=False), np.float32)
    return head, np.flatnonzero(head[:, 1] < _STEADY_Y)


def head_pose(points: Float32) -> HeadPose:
    """The pose of a face with these points, (468, 3) as FaceFinder.landmarks gives them."""
    head, steady = _head()
    _, rotation = similarity(head[steady].astype(np.float64), points[steady].astype(np.float64))
    ahead, across = -rotation[:, 2], rotation[:, 0]
    return HeadPose(
        yaw=math.degrees(math.atan2(ahead[0], -ahead[2])),
        pitch=math.degrees(math.asin(max(-1.0, min(1.0, -ahead[1])))),
        roll=math.degrees(math.atan2(across[1], across[0])),
    )


def similarity(source: Float32, target: Float32) -> tuple[float, Float32]:
    """Scale and rotation (3, 3) that take `source`, (n, 3), nearest to `target` (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, singular, vt = np.linalg.svd(b.T @ a / len(a))
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    return float((singular * signs).sum() / a.var(0).sum()), np.asarray(u @ np.diag(signs) @ vt)

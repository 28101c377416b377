"""Which way a head looks: the canonical head, turned by known angles, is told to be turned by them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from opentalking.avatars import pose
from opentalking.avatars.pose import head_pose
from opentalking.types import Float32


def turned(yaw: float, pitch: float, roll: float) -> Float32:
    """The canonical head (x right, y down, z away), turned about its own axes, then leaned, scaled and moved."""
    head = np.load(Path(pose.__file__).parent / "weights" / "head468.npy").astype(np.float64)
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    # looking to the person's left is to the right of the picture: the nose, at -z, goes to +x
    about_y = np.array([[math.cos(y), 0, -math.sin(y)], [0, 1, 0], [math.sin(y), 0, math.cos(y)]])
    # looking up: the nose goes to -y
    about_x = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return np.asarray(head @ (about_z @ about_y @ about_x).T * 150 + [300, 200, 40], np.float32)


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 0, 0), (-25, 0, 0), (0, 15, 0), (0, 0, 30), (12, 8, -9)])
def test_a_turned_head_is_told_by_its_angles(angles: tuple[float, float, float]) -> None:
    found = head_pose(turned(*angles))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx(angles, abs=2.5)

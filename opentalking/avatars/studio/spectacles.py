"""Spectacles as tubes: two rims, a bridge and two temples."""

from __future__ import annotations

import numpy as np

from opentalking.avatars.studio.mesh import Figure
from opentalking.avatars.studio.vectors import Floats


def rims_and_temples(figure: Figure) -> list[tuple[Floats, bool]]:
    """Middle lines of the frame's parts, float32 (n, 3), and whether each is closed."""
    front = float(figure.eyes[0][2] + figure.eye_radius + 0.12)
    lines = [(_rim(centre, front), True) for centre in figure.eyes]
    x = np.linspace(-0.07, 0.07, 12)
    lines.append((np.stack([x, 0.04 - 4 * x**2, np.full(12, front)], -1), False))
    ear = float(np.abs(figure.vertices[figure.ears > 0.5, 0]).min()) + 0.02
    back = np.linspace(0, 1, 20)
    for side in (1, -1):
        x = side * (0.55 + (ear - 0.55) * back**0.6)
        lines.append((np.stack([x, np.full(20, 0.03), front - 0.04 - (front + 0.1) * back], -1), False))
    return [(line.astype(np.float32), closed) for line, closed in lines]


def _rim(eye: Floats, front: float) -> Floats:
    """A rounded rectangle before an eye, bent back with the face."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    across = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.75
    up = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.8
    x = eye[0] * 1.06 + 0.25 * across
    return np.stack([x, eye[1] - 0.03 + 0.19 * up, front - 0.10 * x**2], -1)

"""A knitted pullover over MakeHuman's helper for tight clothes, cut along a neckline, with a band around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opentalking.avatars.studio.hair import unit
from opentalking.avatars.studio.mesh import BODY, Figure, Int32, vertex_normals
from opentalking.avatars.studio.people import Person
from opentalking.types import Float32

_TIGHTS = "helper-tights"
_AROUND = 96  # points of the band


@dataclass(frozen=True)
class Pullover:
    """The cloth: vertices (n, 3), faces, and per vertex how far beyond the neckline (negative: not there); the band."""

    vertices: Float32
    faces: Int32
    beyond: Float32
    band: Float32  # (96, 3) its middle line
    band_radius: float


def pullover(figure: Figure, person: Person) -> Pullover:
    """The person's pullover."""
    faces = figure.base.faces[_TIGHTS]
    faces = faces[(faces >= 0).all(1)]
    centres = figure.vertices[faces].mean(1)
    faces = faces[(centres[:, 1] > -4.5) & (np.abs(centres[:, 0]) < 3.2)]
    used, index = np.unique(faces, return_inverse=True)
    faces = index.reshape(faces.shape).astype(np.int32)
    vertices = figure.vertices[used]
    vertices = vertices + 0.05 * vertex_normals(vertices, faces)
    return Pullover(vertices, faces, _beyond(figure, person, vertices), _band(figure, person), 0.045)


def _neck(figure: Figure) -> tuple[Float32, Float32]:
    """The neck's middle a little below the chin, and its half width, nothing and half depth: (3,) each."""
    body = figure.vertices[figure.group(BODY)]
    level = figure.chin[1] - 0.45
    ring = body[(np.abs(body[:, 1] - level) < 0.12) & (np.abs(body[:, 0]) < 0.75)]
    low, high = ring.min(0), ring.max(0)
    return np.asarray((low + high) / 2), np.asarray((high - low) / 2)


def _beyond(figure: Figure, person: Person, points: Float32) -> Float32:
    """How far points are beyond the neckline, in decimetres; negative ones are bare."""
    middle, half = _neck(figure)
    if person.neckline == "high":
        height = middle[1] + 0.12 - 0.30 * (points[:, 2] - middle[2])
        return np.asarray(height - points[:, 1], np.float32)
    # an egg around the neck: what is inside it is cut away
    drop = 0.62 if person.neckline == "crew" else 1.15
    axes = np.array([half[0] + 0.10, drop, half[2] + 0.22])
    offset = points - middle + [0, 0.05, -0.05]
    offset[:, 1] = np.minimum(offset[:, 1], 0)  # nor is there cloth on the neck above it
    return np.asarray((np.linalg.norm(offset / axes, axis=1) - 1) * 0.6, np.float32)


def _band(figure: Figure, person: Person) -> Float32:
    """Where the neckline meets the body, seen from the neck's middle."""
    middle, _ = _neck(figure)
    body = figure.vertices[figure.group(BODY)]
    near = body[(np.abs(body[:, 1] - middle[1] + 0.55) < 0.75) & (np.abs(body[:, 0]) < 1.6)]
    gap = _beyond(figure, person, near)
    angles = np.arctan2(near[:, 0], near[:, 2] - middle[2])
    line = []
    for angle in np.linspace(-np.pi, np.pi, _AROUND, endpoint=False):
        turn = np.abs((angles - angle + np.pi) % (2 * np.pi) - np.pi)
        weight = np.exp(-((turn / 0.16) ** 2) - (gap / 0.05) ** 2) + 1e-12
        line.append((near * weight[:, None]).sum(0) / weight.sum())
    band = np.array(line)
    for _ in range(4):
        band = (np.roll(band, 1, 0) + 2 * band + np.roll(band, -1, 0)) / 4
    away = unit(np.stack([band[:, 0] - middle[0], np.full(_AROUND, 0.25), band[:, 2] - middle[2]], -1))
    return np.asarray(band + 0.05 * away, np.float32)


def tube(line: Float32, radii: tuple[float, float], closed: bool = True, around: int = 10) -> tuple[Float32, Int32]:
    """A tube along `line`, (n, 3): half-axes upward and sideways; vertices and faces."""
    count = len(line)
    ahead = np.roll(line, -1, 0) - np.roll(line, 1, 0)
    if not closed:
        ahead[0], ahead[-1] = line[1] - line[0], line[-1] - line[-2]
    ahead = unit(ahead)
    side = unit(np.cross(ahead, [0, 1, 0]))
    up = np.cross(side, ahead)
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)
    rings = line[:, None] + radii[0] * np.sin(turn)[None, :, None] * up[:, None]
    rings = rings + radii[1] * np.cos(turn)[None, :, None] * side[:, None]
    faces = []
    for i in range(count if closed else count - 1):
        for j in range(around):
            a, b = i * around, (i + 1) % count * around
            faces.append([a + j, a + (j + 1) % around, b + (j + 1) % around, b + j])
    return rings.reshape(-1, 3).astype(np.float32), np.array(faces, np.int32)

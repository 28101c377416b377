"""A knitted pullover over MakeHuman's helper for tight clothes, cut along a neckline, with a band around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opentalking.avatars.studio.mesh import BODY, Figure, vertex_normals
from opentalking.avatars.studio.people import Person
from opentalking.avatars.studio.vectors import Floats, Int32, unit

_TIGHTS = "helper-tights"
_AROUND = 96  # points of the band


@dataclass(frozen=True)
class Pullover:
    """The cloth: vertices (n, 3), faces, and per vertex how far beyond the neckline (negative: not there); the band."""

    vertices: Floats
    faces: Int32
    beyond: Floats
    band: Floats  # (96, 3) its middle line
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
    beyond = _beyond(figure, person, vertices)
    return Pullover(vertices, faces, beyond, _band(vertices, faces, beyond), 0.04)


def _beyond(figure: Figure, person: Person, points: Floats) -> Floats:
    """How far points are beyond the neckline, in decimetres; negative ones are bare.

    What is cut away is inside an egg around the neck's middle, and all of the neck above it."""
    body = figure.vertices[figure.group(BODY)]
    level = figure.chin[1] - 0.45
    ring = body[(np.abs(body[:, 1] - level) < 0.12) & (np.abs(body[:, 0]) < 0.75)]
    low, high = ring.min(0), ring.max(0)
    drop = 0.58 if person.neckline == "crew" else 1.0
    axes = np.array([(high[0] - low[0]) / 2 + 0.01, drop, (high[2] - low[2]) / 2 + 0.16])
    offset = np.array(points - (low + high) / 2 + [0, 0.05, -0.05], np.float64)
    offset[:, 1] = offset[:, 1].clip(max=0)
    if person.neckline == "vee":
        offset[:, 0] *= 1 + 0.9 * np.clip(-offset[:, 1] - 0.3, 0, 1)
    return np.asarray((np.linalg.norm(offset / axes, axis=1) - 1) * 0.6, np.float32)


def _band(vertices: Floats, faces: Int32, beyond: Floats) -> Floats:
    """Where the neckline crosses the cloth, in order around the neck."""
    edges = np.concatenate([faces[:, [i, (i + 1) % 4]] for i in range(4)])
    there = beyond[edges]
    edges, there = edges[there.prod(1) < 0], there[there.prod(1) < 0]
    share = there[:, :1] / (there[:, :1] - there[:, 1:])
    crossings = vertices[edges[:, 0]] * (1 - share) + vertices[edges[:, 1]] * share
    offset = crossings - crossings.mean(0)
    angles = np.arctan2(offset[:, 0], offset[:, 2])
    wanted = np.linspace(-np.pi, np.pi, _AROUND, endpoint=False)
    turn = np.abs((angles[None] - wanted[:, None] + np.pi) % (2 * np.pi) - np.pi)
    weight = np.exp(-((turn / 0.10) ** 2)) + 1e-9
    return np.asarray(weight @ crossings / weight.sum(1, keepdims=True), np.float32)


def tube(line: Floats, radii: tuple[float, float], closed: bool = True, around: int = 10) -> tuple[Floats, Int32]:
    """A tube along `line`, (n, 3): half-axes upward and sideways; vertices and faces."""
    count = len(line)
    ahead: Floats = np.roll(line, -1, 0) - np.roll(line, 1, 0)
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

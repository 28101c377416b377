"""Eyelashes, eyebrows and beards."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from opentalking.avatars.studio.hair import Skin, Strands
from opentalking.avatars.studio.mesh import Figure
from opentalking.avatars.studio.people import Person
from opentalking.avatars.studio.vectors import Floats, smoothstep, unit


def eyelashes(figure: Figure, person: Person) -> Strands:
    """Upper lashes on the mesh's strips for them: from the strip's edge on the lid to its free edge."""
    random = np.random.default_rng(person.seed + 10)
    rows = []
    for side, eye in (("l", figure.eyes[0]), ("r", figure.eyes[1])):
        strips = [figure.vertices[figure.base.faces[f"helper-{side}-eyelashes-{i}"]] for i in (1, 2)]
        upper = max(strips, key=lambda strip: float(strip[..., 1].mean()))
        rows.append(_lash_row(upper, eye, random))
    points = np.concatenate(rows)
    return Strands(points, np.linspace(0.0026, 0.0007, points.shape[1]).astype(np.float32), np.zeros(len(points)))


def _lash_row(quads: Floats, eye: Floats, random: np.random.Generator) -> Floats:
    """Strands over a strip of quads, float32 (n, 5, 3)."""
    order = np.argsort(np.linalg.norm(quads - eye, axis=2), axis=1)
    near = np.take_along_axis(quads, order[:, :2, None], 1)
    far = np.take_along_axis(quads, order[:, 2:, None], 1)
    swap = np.linalg.norm(near[:, 0] - far[:, 0], axis=1) > np.linalg.norm(near[:, 0] - far[:, 1], axis=1)
    far[swap] = far[swap][:, ::-1]
    rows = []
    for _ in range(2):
        share = random.random((len(quads), 1))
        root, tip = near[:, 0] * (1 - share) + near[:, 1] * share, far[:, 0] * (1 - share) + far[:, 1] * share
        tip = root + (tip - root) * random.uniform(0.7, 1.0, (len(quads), 1))
        t = np.linspace(0, 1, 5)[None, :, None]
        rows.append(root[:, None] * (1 - t) + tip[:, None] * t)
    return np.concatenate(rows).astype(np.float32)


def brows(figure: Figure, person: Person) -> Strands:
    """Eyebrows: short strands along an arc over each eye, thinning to its outer end."""
    random = np.random.default_rng(person.seed + 20)
    skin = Skin(figure, random)
    count = int(420 * person.brow_weight)
    t = random.beta(1.1, 1.2, count)  # 0 at the nose, 1 at the temple
    width = 0.036 * person.brow_weight * np.interp(t, [0, 0.15, 0.5, 1], [0.55, 1, 0.85, 0.2])
    off = random.normal(size=count).clip(-1.5, 1.5) * 0.7
    rise = np.interp(t, [0, 0.3, 0.62, 0.8, 1], [0.205, 0.232, 0.262, 0.255, 0.215])
    parts = []
    for side, eye in ((1, figure.eyes[0]), (-1, figure.eyes[1])):
        x = eye[0] + side * (-0.165 + 0.40 * t)
        start = np.stack([x, eye[1] + rise + off * width, np.full(count, eye[2] + 0.25)], -1)
        _, index = skin.tree.query(_onto(skin, start))
        root = np.stack([start[:, 0], start[:, 1], skin.points[index, 2]], -1)
        slope = 0.75 - 1.05 * t - 0.35 * off
        way = unit(
            np.stack([side * np.ones(count), slope + 0.12 * random.normal(size=count), -0.25 * np.ones(count)], -1)
        )
        length = 0.062 * random.uniform(0.6, 1.2, count)[:, None, None] * np.linspace(0, 1, 5)[None, :, None]
        points = root[:, None] + way[:, None] * length
        parts.append(_laid(skin, points, 0.008))
    points = np.concatenate(parts).astype(np.float32)
    return Strands(points, np.linspace(0.0046, 0.0014, 5).astype(np.float32), np.zeros(len(points)))


def _onto(skin: Skin, points: Floats) -> Floats:
    """Points moved along z onto the front of the skin."""
    front = skin.normals[:, 2] > 0.2
    tree = cKDTree(skin.points[front][:, :2])
    _, index = tree.query(points[:, :2])
    moved = points.copy()
    moved[:, 2] = skin.points[front][index, 2]
    return moved


def _laid(skin: Skin, points: Floats, height: float) -> Floats:
    """Strands raised or lowered onto the skin, each point `height` above it (tips a little more)."""
    flat = points.reshape(-1, 3)
    normal, above = skin.nearest(flat)
    want = height * np.tile(np.linspace(0.2, 1.4, points.shape[1]), len(points))
    return np.asarray((flat + normal * (want - above)[:, None]).reshape(points.shape))


def beard(figure: Figure, person: Person) -> Strands | None:
    """A full beard and moustache of the given length."""
    if not person.beard:
        return None
    random = np.random.default_rng(person.seed + 30)
    skin = Skin(figure, random)
    density = beard_density(figure, skin.centres()) * (1 - skin.mean_over_faces(figure.lips)) ** 3
    roots, normals = skin.sow(density, 16_000)
    count = len(roots)
    way = unit(0.55 * normals + np.array([0, -1.0, 0.15]) + 0.35 * random.normal(size=(count, 3)))
    along = person.beard * random.uniform(0.5, 1.1, (count, 1, 1)) * np.linspace(0, 1, 6)[None, :, None]
    points = roots[:, None] + way[:, None] * along
    points[..., 1] -= 0.25 * along[..., 0] ** 1.5
    return Strands(points.astype(np.float32), np.linspace(0.005, 0.002, 6).astype(np.float32), random.random(count))


def beard_density(figure: Figure, points: Floats) -> Floats:
    """1 where a beard grows: jaw, chin, upper lip, up to the sideburns."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    mouth, chin = figure.mouth[1], figure.chin[1]
    # upper edge: under the nose in the middle, then a sweep from the mouth's corner to the sideburn
    edge = np.interp(x, [0, 0.16, 0.30, 0.50, 0.72, 0.80], [0.20, 0.17, 0.02, 0.04, 0.42, 0.60]) + mouth
    density = smoothstep(0.05, -0.05, np.asarray(y - edge))
    density = density * smoothstep(chin - 0.30, chin - 0.10, y) * smoothstep(-0.12, 0.16, z)
    moustache = smoothstep(0.0, 0.03, np.asarray(y - mouth)) * smoothstep(0.035, 0.0, np.asarray(x - 0.30))
    cheeks = smoothstep(0.22, 0.34, x)
    below = smoothstep(mouth - 0.08, mouth - 0.15, y)
    return np.asarray(density * np.maximum(np.maximum(moustache, cheeks), below))

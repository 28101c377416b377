"""Hair as strands: roots sown on the skin, each grown step by step the way it is combed, then drawn into locks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from opentalking.avatars.studio.mesh import BODY, Figure
from opentalking.avatars.studio.people import Hair, Person
from opentalking.avatars.studio.vectors import Floats, Int32, smoothstep, unit

_SKIN_SAMPLES = 60_000


@dataclass(frozen=True)
class Strands:
    """Curves of equally many points: float32 (n, k, 3), their radius from root to tip (k,), a shade (n,) in 0..1."""

    points: Floats
    radii: Floats
    shade: Floats


class Skin:
    """Points on the skin with their normals, to sow on and to keep strands outside of."""

    def __init__(self, figure: Figure, random: np.random.Generator) -> None:
        faces = figure.base.faces[BODY]
        faces = faces[(faces >= 0).all(1)]
        centres = figure.vertices[faces].mean(1)
        faces = faces[(centres[:, 1] > -3.2) & (np.abs(centres[:, 0]) < 2.6)]
        a, b, c, d = (figure.vertices[faces[:, i]] for i in range(4))
        areas = np.linalg.norm(np.cross(c - a, d - b), axis=1)
        headward = areas * (1 - figure.ears[faces].max(1))  # hair falls over the ears as if they were not there
        self.points, self.normals = self._sow(figure, faces, headward, _SKIN_SAMPLES, random)
        self.tree = cKDTree(self.points)
        self._figure, self._faces, self._areas, self._random = figure, faces, areas, random

    @staticmethod
    def _sow(
        figure: Figure, faces: Int32, weights: Floats, count: int, random: np.random.Generator
    ) -> tuple[Floats, Floats]:
        picked = faces[random.choice(len(faces), count, p=weights / weights.sum())]
        s, t = random.random((2, count, 1))
        shares = ((1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t)
        points = sum(share * figure.vertices[picked[:, i]] for i, share in enumerate(shares))
        normals = sum(share * figure.normals[picked[:, i]] for i, share in enumerate(shares))
        return np.asarray(points, np.float32), unit(np.asarray(normals, np.float32))

    def sow(self, density: Floats, count: int) -> tuple[Floats, Floats]:
        """`count` roots and normals, as many as `density`, (faces,) of `centres()`, asks for."""
        return self._sow(self._figure, self._faces, self._areas * density, count, self._random)

    def centres(self) -> Floats:
        return np.asarray(self._figure.vertices[self._faces].mean(1))

    def mean_over_faces(self, mask: Floats) -> Floats:
        return np.asarray(mask[self._faces].mean(1))

    def nearest(self, points: Floats) -> tuple[Floats, Floats]:
        """Normal of the nearest skin, and the height above it."""
        _, index = self.tree.query(points)
        normals = self.normals[index]
        return normals, np.asarray(((points - self.points[index]) * normals).sum(1))


def scalp_density(figure: Figure, points: Floats, hair: Hair, edge: float = 0.10) -> Floats:
    """1 where hair grows on the head, falling to 0 over `edge` dm at the hairline."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    top = figure.crown
    # the hairline's height against z: nape, behind the ear, the temple, the forehead
    knots = np.array([-0.9, -0.30, -0.12, 0.10, 0.32, 0.50, 0.62, 0.80, 1.2])
    heights = np.array([-0.62, -0.55, 0.10, 0.05, -0.02, 0.16, 0.46, 0.60, 0.66])
    line = np.interp(z, knots, heights * top / 1.1)
    temple = smoothstep(0.25, 0.6, x) * smoothstep(0.45, 0.7, z)
    line = line + temple * (0.06 + hair.hairline) + hair.hairline * smoothstep(0.5, 0.8, z)
    density = smoothstep(-edge, edge, np.asarray(y - line))
    # the ears stay free, and what is in front of them below the sideburn
    ear = (np.abs(z) < 0.30) & (x > 0.70) & (y < 0.10)
    return np.asarray(density * ~ear)


def head_hair(figure: Figure, person: Person) -> Strands | None:
    """The hair of the head."""
    hair = person.hair
    if hair is None:
        return None
    random = np.random.default_rng(person.seed)
    skin = Skin(figure, random)
    wild = np.asarray(scalp_density(figure, skin.centres(), hair))
    bare = skin.mean_over_faces(figure.ears)
    roots, normals = skin.sow(wild * (1 - bare), hair.strands)
    if hair.style == "crop":
        points = _crop(roots, normals, hair, random)
    else:
        points = _combed(skin, roots, normals, hair, random)
    points = _outside(skin, _locks(points, hair, random))
    shade = random.random(len(points)).astype(np.float32)
    radii = hair.thickness * np.linspace(1, 0.35, points.shape[1])
    return Strands(points.astype(np.float32), radii.astype(np.float32), shade)


def _outside(skin: Skin, points: Floats) -> Floats:
    """Only the strands that stay outside of the body and do not cross the throat."""
    _, height = skin.nearest(points[:, ::2].reshape(-1, 3))
    sunk = (height.reshape(len(points), -1) < -0.04).any(1)
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    crossing = ((x < 0.42) & (y < -0.75) & (z > 0.0)).any(1)
    return np.asarray(points[~(sunk | crossing)])


def _crop(roots: Floats, normals: Floats, hair: Hair, random: np.random.Generator) -> Floats:
    """Short hair that stands up, leans forward and down, and curls."""
    count, steps = len(roots), 8
    lean = unit(normals + 0.45 * np.array([0, -0.4, 0.5]) + 0.25 * random.normal(size=(count, 3)))
    along = np.linspace(0, 1, steps)[None, :, None] * hair.length * random.uniform(0.6, 1.1, (count, 1, 1))
    points = roots[:, None] + lean[:, None] * along
    phase = random.uniform(0, 2 * np.pi, (count, 1))
    turn = phase + np.linspace(0, 2.2 * np.pi, steps)[None]
    side = unit(np.cross(lean, [0.3, 0.9, 0.1]))
    other = np.cross(lean, side)
    swing = hair.curl * np.linspace(0, 1, steps)[None, :, None]
    return np.asarray(
        points + swing * (np.cos(turn)[..., None] * side[:, None] + np.sin(turn)[..., None] * other[:, None])
    )


def _combing(points: Floats, roots: Floats, hair: Hair) -> Floats:
    """The way the comb went at each point, not yet laid onto the skin."""
    side = np.where(roots[:, 0] > hair.parting, 1.0, -1.0)
    front = smoothstep(0.1, 0.8, roots[:, 2])
    down = smoothstep(0.25, 0.8, np.abs(points[:, 0]))
    back = front * (1 - down)
    sideways = np.stack(
        [side * (1.1 - 0.9 * down - 0.2 * back), 0.45 * back - 0.25 - 1.2 * down, -0.35 - 0.55 * back], -1
    )
    behind = np.stack([0.45 * side, np.full(len(points), -1.0), np.full(len(points), -0.5)], -1)
    share = smoothstep(0.0, -0.5, roots[:, 2])[:, None]
    return unit(sideways * (1 - share) + behind * share)


def _combed(skin: Skin, roots: Floats, normals: Floats, hair: Hair, random: np.random.Generator) -> Floats:
    """Strands that follow the comb over the head and hang where it ends; they stay outside of skin and shoulders."""
    count = len(roots)
    steps = 20 if hair.length > 1.5 else 16
    lengths = hair.length * random.uniform(0.86, 1.0, count)
    step = (lengths / (steps - 1))[:, None]
    stray = random.normal(size=(count, 3)) * 0.06
    lift = hair.lift * random.uniform(0.25, 1.0, count)
    points = np.empty((count, steps, 3))
    points[:, 0] = roots
    at: Floats = roots
    heading = unit(normals + 0.6 * _combing(roots, roots, hair))
    for k in range(1, steps):
        normal, _ = skin.nearest(at)
        way = _combing(at, roots, hair) + stray
        comb = unit(way - normal * (way * normal).sum(1, keepdims=True))
        hang = smoothstep(-0.1, -0.7, at[:, 1])[:, None]
        behind = smoothstep(0.15, -0.25, roots[:, 2])[:, None] * np.array([0, 0, -0.30])
        comb = unit(comb * (1 - hang) + (behind + np.array([0, -1.0, 0])) * hang)
        heading = unit(0.45 * heading + 0.55 * comb)
        at = at + heading * step
        normal, height = skin.nearest(at)
        along = k * step[:, 0]
        wanted = lift * (1 - np.exp(-along / 0.22)) + 0.012
        push = np.where(hang[:, 0] > 0.5, np.maximum(wanted * 0.6 - height, 0), (wanted - height) * 0.7)
        at = at + normal * push[:, None]
        points[:, k] = at
    return points


def _locks(points: Floats, hair: Hair, random: np.random.Generator) -> Floats:
    """Draw strands toward their lock's, more so at the tips, and curl each lock as one."""
    count, steps = points.shape[:2]
    if hair.style == "crop":
        return points
    leaders = random.choice(count, max(200, count // 60), replace=False)
    _, nearest = cKDTree(points[leaders, 0]).query(points[:, 0])
    lead = points[leaders][nearest]
    along = np.linspace(0, 1, steps)[None, :, None]
    together = 0.75 * along**0.8 * random.uniform(0.5, 1.0, (count, 1, 1))
    offset = points[:, :1] - lead[:, :1]
    points = points + (lead + 0.35 * offset - points) * together
    phase = random.uniform(0, 2 * np.pi, len(leaders))[nearest][:, None]
    turn = phase + 2 * np.pi * np.linspace(0, hair.length / 0.9, steps)[None]
    wave = np.stack([np.cos(turn), np.zeros_like(turn), np.sin(turn)], -1)
    return np.asarray(points + hair.curl * wave * along)

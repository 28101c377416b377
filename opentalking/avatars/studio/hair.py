"""Hair as strands: roots sown on the skin, each grown step by step along the way it is combed, then drawn into locks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from opentalking.avatars.studio.mesh import BODY, LASHES, Figure, Int32
from opentalking.avatars.studio.people import Hair, Person
from opentalking.types import Float32

_SKIN_SAMPLES = 60_000


@dataclass(frozen=True)
class Strands:
    """Curves of equally many points: float32 (n, k, 3), their radius from root to tip (k,), and a shade (n,) in 0..1."""

    points: Float32
    radii: Float32
    shade: Float32


def smoothstep(low: float, high: float, x: Float32) -> Float32:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def unit(vectors: Float32) -> Float32:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))


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
        figure: Figure, faces: Int32, weights: Float32, count: int, random: np.random.Generator
    ) -> tuple[Float32, Float32]:
        picked = faces[random.choice(len(faces), count, p=weights / weights.sum())]
        s, t = random.random((2, count, 1))
        shares = ((1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t)
        points = sum(share * figure.vertices[picked[:, i]] for i, share in enumerate(shares))
        normals = sum(share * figure.normals[picked[:, i]] for i, share in enumerate(shares))
        return np.asarray(points, np.float32), unit(np.asarray(normals, np.float32))

    def sow(self, density: Float32, count: int) -> tuple[Float32, Float32]:
        """`count` roots and normals, as many as `density`, (faces,) of `centres()`, asks for."""
        return self._sow(self._figure, self._faces, self._areas * density, count, self._random)

    def centres(self) -> Float32:
        return np.asarray(self._figure.vertices[self._faces].mean(1))

    def mean_over_faces(self, mask: Float32) -> Float32:
        return np.asarray(mask[self._faces].mean(1))

    def nearest(self, points: Float32) -> tuple[Float32, Float32]:
        """Normal of the nearest skin, and the height above it."""
        _, index = self.tree.query(points)
        normals = self.normals[index]
        return normals, np.asarray(((points - self.points[index]) * normals).sum(1))


def scalp_density(figure: Figure, points: Float32, hair: Hair, edge: float = 0.10) -> Float32:
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
        points = _combed(figure, skin, roots, normals, hair, random)
    points = _outside(skin, _locks(points, hair, random))
    shade = random.random(len(points)).astype(np.float32)
    radii = hair.thickness * np.linspace(1, 0.35, points.shape[1])
    return Strands(points.astype(np.float32), radii.astype(np.float32), shade)


def _outside(skin: Skin, points: Float32) -> Float32:
    """Only the strands that stay outside of the body and do not cross the throat."""
    _, height = skin.nearest(points[:, ::2].reshape(-1, 3))
    sunk = (height.reshape(len(points), -1) < -0.04).any(1)
    x, y, z = np.abs(points[..., 0]), points[..., 1], points[..., 2]
    crossing = ((x < 0.42) & (y < -0.75) & (z > 0.0)).any(1)
    return np.asarray(points[~(sunk | crossing)])


def _crop(roots: Float32, normals: Float32, hair: Hair, random: np.random.Generator) -> Float32:
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


def _combing(figure: Figure, points: Float32, roots: Float32, hair: Hair) -> Float32:
    """The way the comb went at each point, not yet laid onto the skin."""
    if hair.style == "back":
        return unit(np.array([0, 0.05, -1.05]) - points)
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


def _combed(
    figure: Figure, skin: Skin, roots: Float32, normals: Float32, hair: Hair, random: np.random.Generator
) -> Float32:
    """Strands that follow the comb over the head and hang where it ends; they stay outside of skin and shoulders."""
    count = len(roots)
    steps = 20 if hair.length > 1.5 else 16
    lengths = hair.length * random.uniform(0.86, 1.0, count)
    step = (lengths / (steps - 1))[:, None]
    stray = random.normal(size=(count, 3)) * 0.06
    lift = hair.lift * random.uniform(0.25, 1.0, count)
    points = np.empty((count, steps, 3))
    points[:, 0] = roots
    at, heading = roots.astype(np.float64), unit(normals + 0.6 * _combing(figure, roots, roots, hair))
    for k in range(1, steps):
        normal, _ = skin.nearest(at)
        comb = _combing(figure, at, roots, hair) + stray
        comb = unit(comb - normal * (comb * normal).sum(1, keepdims=True))
        hang = smoothstep(-0.1, -0.7, at[:, 1])[:, None] if hair.style != "back" else np.zeros((count, 1))
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


def _locks(points: Float32, hair: Hair, random: np.random.Generator) -> Float32:
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


def eyelashes(figure: Figure, person: Person) -> Strands:
    """Lashes on the mesh's strips for them: from the strip's edge on the lid to its free edge, curving up."""
    random = np.random.default_rng(person.seed + 10)
    parts = []
    for names, centre in ((("l-eyelashes-1", "l-eyelashes-2"), 0), (("r-eyelashes-1", "r-eyelashes-2"), 1)):
        for name in names:
            quads = figure.vertices[figure.base.faces[f"helper-{name}"]]
            parts.append(_lash_row(quads, figure.eyes[centre], random))
    points = np.concatenate(parts)
    return Strands(points, np.linspace(0.0042, 0.0012, points.shape[1]).astype(np.float32), np.zeros(len(points)))


def _lash_row(quads: Float32, eye: Float32, random: np.random.Generator) -> Float32:
    """Strands over a strip of quads, float32 (n, 5, 3)."""
    order = np.argsort(np.linalg.norm(quads - eye, axis=2), axis=1)
    near = np.take_along_axis(quads, order[:, :2, None], 1)
    far = np.take_along_axis(quads, order[:, 2:, None], 1)
    swap = np.linalg.norm(near[:, 0] - far[:, 0], axis=1) > np.linalg.norm(near[:, 0] - far[:, 1], axis=1)
    far[swap] = far[swap][:, ::-1]
    rows = []
    for _ in range(3):
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
        root, normal = skin.points[index], skin.normals[index]
        root = np.stack([start[:, 0], start[:, 1], root[:, 2]], -1)
        slope = 0.75 - 1.05 * t - 0.35 * off
        way = unit(
            np.stack([side * np.ones(count), slope + 0.12 * random.normal(size=count), -0.25 * np.ones(count)], -1)
        )
        length = 0.062 * random.uniform(0.6, 1.2, count)[:, None, None] * np.linspace(0, 1, 5)[None, :, None]
        points = root[:, None] + way[:, None] * length
        parts.append(_laid(skin, points, 0.008))
    points = np.concatenate(parts).astype(np.float32)
    return Strands(points, np.linspace(0.0046, 0.0014, 5).astype(np.float32), np.zeros(len(points)))


def _onto(skin: Skin, points: Float32) -> Float32:
    """Points moved along z onto the front of the skin."""
    front = skin.normals[:, 2] > 0.2
    tree = cKDTree(skin.points[front][:, :2])
    _, index = tree.query(points[:, :2])
    moved = points.copy()
    moved[:, 2] = skin.points[front][index, 2]
    return moved


def _laid(skin: Skin, points: Float32, height: float) -> Float32:
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


def beard_density(figure: Figure, points: Float32) -> Float32:
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

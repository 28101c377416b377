"""What colour the skin is where, and where it is lined or shaved: values at the vertices, smooth by nature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opentalking.avatars.studio.facial_hair import beard_density
from opentalking.avatars.studio.hair import scalp_density
from opentalking.avatars.studio.mesh import Figure
from opentalking.avatars.studio.people import Person
from opentalking.avatars.studio.vectors import Floats, smoothstep

_HIDDEN = 0.85  # of the scalp's skin by the roots of hair


@dataclass(frozen=True)
class Complexion:
    """At each vertex: base colour float32 (n, 3) in linear light, stubble, forehead lines and scalp shadow (n,)."""

    tint: Floats
    stubble: Floats
    lines: Floats
    scalp: Floats


def complexion(figure: Figure, person: Person) -> Complexion:
    """The person's skin, alike in ratios for every complexion: redder cheeks, nose and ears, darker about the eyes."""
    points = figure.vertices
    skin = np.asarray(person.skin, np.float32)
    light = float(skin.mean())
    red = np.array([1.0, 0.60, 0.60], np.float32) if light > 0.2 else np.array([1.0, 0.80, 0.74], np.float32)
    tint = np.tile(skin, (len(points), 1))

    def toward(colour: Floats, weight: Floats) -> None:
        tint[:] = tint * (1 - weight[:, None]) + colour * weight[:, None]

    def spot(centre: Floats, reach: tuple[float, float]) -> Floats:
        """1 at `centre`, falling off by `reach` across and up, on either side of the face."""
        across = (np.abs(points[:, 0]) - abs(centre[0])) / reach[0]
        up = (points[:, 1] - centre[1]) / reach[1]
        return np.asarray(np.exp(-(across**2) - up**2) * smoothstep(0.1, 0.5, points[:, 2]), np.float32)

    eye, mouth, nose = figure.eyes[0], figure.mouth, figure.nose
    toward(skin * red, 0.42 * spot(np.array([0.46, eye[1] - 0.42]), (0.22, 0.20)))
    toward(skin * red, 0.50 * spot(nose, (0.13, 0.10)))
    toward(skin * red, 0.30 * spot(np.array([0.0, figure.chin[1] + 0.12]), (0.22, 0.14)))
    toward(skin * red * 0.92, 0.55 * figure.ears)
    shade = np.array([0.74, 0.62, 0.62], np.float32)
    toward(skin * shade, (0.32 + 0.25 * person.age) * spot(np.array([eye[0] - 0.02, eye[1] - 0.10]), (0.19, 0.075)))
    toward(skin * shade, 0.40 * spot(np.array([eye[0], eye[1] + 0.07]), (0.20, 0.09)))
    toward(skin * np.array([1.04, 1.0, 0.90], np.float32), 0.4 * spot(np.array([0, 0.55]), (0.5, 0.25)))
    toward(skin * 0.9, 0.25 * spot(np.array([0.30, mouth[1]]), (0.07, 0.05)))
    grown = beard_density(figure, points) * (1 - figure.lips)
    forehead = smoothstep(0.25, 0.45, points[:, 1]) * smoothstep(1.0, 0.75, points[:, 1])
    hair = person.hair
    scalp = scalp_density(figure, points, hair, 0.07) if hair else np.zeros(len(points), np.float32)
    return Complexion(
        tint=tint.astype(np.float32),
        stubble=(grown * person.stubble).astype(np.float32),
        lines=(forehead * person.age * smoothstep(0.3, 0.6, points[:, 2])).astype(np.float32),
        scalp=(scalp * _HIDDEN * (1 - figure.ears)).astype(np.float32),
    )

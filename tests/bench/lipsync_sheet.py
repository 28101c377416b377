"""What was received, to be looked at: a contact sheet of each avatar, and strips of eight consecutive mouths.

avatar   ten pictures over the turn
         eight mouths, 40 ms apart, around the widest opening
         eight around the fastest closing
         eight around the end of the speech
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .lips import Curve, rest_and_wide

_FACE, _FACES = 160, 10  # pixels of a picture, pictures in a row
_MOUTH, _MOUTHS = 200, 8


@dataclass(frozen=True)
class Film:
    """Pictures of a turn, uint8 I420 (rows, columns) each, with the opening of each mouth and its two corners,
    (n, 2, 2)."""

    mouth: Curve
    pictures: list[NDArray[np.uint8]]
    corners: NDArray[np.float32]


def write_sheet(path: Path, films: Mapping[str, Film]) -> None:
    """A PNG of all of them, one below the other."""
    rows = [row for name, film in films.items() for row in (_faces(name, film), *_strips(film))]
    width = max(row.shape[1] for row in rows)
    padded = [cv2.copyMakeBorder(row, 0, 4, 0, width - row.shape[1], cv2.BORDER_CONSTANT) for row in rows]
    cv2.imwrite(str(path), np.concatenate(padded))


def _faces(name: str, film: Film) -> NDArray[np.uint8]:
    chosen = np.linspace(0, len(film.pictures) - 1, _FACES).astype(int)
    faces = [cv2.resize(_bgr(film.pictures[n]), (_FACE, _FACE), interpolation=cv2.INTER_AREA) for n in chosen]
    row = np.concatenate(faces, axis=1)
    cv2.putText(row, name, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(row, np.uint8)


def _strips(film: Film) -> list[NDArray[np.uint8]]:
    opening = film.mouth.values
    changes = np.convolve(np.diff(opening), np.ones(3), "same")
    rest, wide = rest_and_wide([film.mouth])
    moving = np.flatnonzero(opening > rest + 0.3 * (wide - rest))
    return [_strip(film, int(at)) for at in (opening.argmax(), changes.argmin(), moving[-1])]


def _strip(film: Film, middle: int) -> NDArray[np.uint8]:
    first = min(max(0, middle - _MOUTHS // 2), len(film.pictures) - _MOUTHS)
    half = 1.1 * float(np.median(np.linalg.norm(film.corners[:, 1] - film.corners[:, 0], axis=1)))
    shots = []
    for n in range(first, first + _MOUTHS):
        centre = film.corners[n].mean(0)
        to_shot = np.array([[1, 0, half - centre[0]], [0, 1, half - centre[1]]]) * (_MOUTH / 2 / half)
        shots.append(cv2.warpAffine(_bgr(film.pictures[n]), to_shot, (_MOUTH, _MOUTH), flags=cv2.INTER_CUBIC))
    return np.asarray(np.concatenate(shots, axis=1), np.uint8)


def _bgr(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), np.uint8)

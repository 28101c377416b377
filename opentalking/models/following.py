"""Where the face of one picture is in each frame of a film, and how a picture of it is laid there.

A film's landmarks (frames/landmarks.npz) are float32 (frames, 468, 3), in pixels. The face is followed by similarities:
turned, scaled and moved as its steady points are, most of all those under the nose. What is laid gets the light of the
frame: an offset, fitted along the rim as a plane over x and y for each of Y, U and V.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np

from opentalking.avatars import AvatarError
from opentalking.avatars.landmarks import POINTS
from opentalking.models.planes import Planes
from opentalking.types import Float32

# forehead, temples, eye corners, bridge and tip of the nose: what neither speech nor a smile moves much
_STEADY = (
    *(10, 109, 338, 67, 297, 54, 284, 127, 356, 33, 133, 362, 263),
    *(168, 6, 197, 195, 5, 4, 193, 417, 122, 351, 196, 419),
)
_UNDER_NOSE = (2, 98, 327, 164)  # the steady points nearest the mouth
_NEAR_WEIGHT = 8.0  # how much more these count
_STEADINESS = 1.0  # frames, sigma by which the places are smoothed: landmarks tremble
_RIM_POINTS = 96
_FITS, _BAD_FIT = 5, 4.0  # rounds of the light's fit; grey levels off it at which a point counts half
_cv2: Any = cv2


def read_points(path: Path, where: str, frames: int) -> Float32:
    """The landmarks of a film of so many frames, (frames, 468, 3). Raises AvatarError, which names `where` they are."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            points = np.asarray(stored["points"], np.float32)
    except (OSError, KeyError, ValueError, EOFError, BadZipFile) as error:
        raise AvatarError(f"{where}/{path.name}: {error}") from None
    if points.shape != (frames, POINTS, 3) or not np.isfinite(points).all():
        raise AvatarError(f"{where}/{path.name}: points are not ({frames}, {POINTS}, 3) numbers")
    return points


def places(reference: Float32, frames: Float32) -> Float32:
    """For each frame the similarity, (2, 3), that takes the reference's points (468, 2) to the frame's (n, 468, 2)."""
    used = np.array([*_STEADY, *_UNDER_NOSE])
    weight = np.where(np.isin(used, _UNDER_NOSE), _NEAR_WEIGHT, 1.0)
    weight /= weight.sum()
    a = reference[used].astype(np.float64) @ [1, 1j]
    b = frames[:, used].astype(np.float64) @ [1, 1j]
    # least squares of b = turn * a + shift over complex numbers
    a_middle, b_middle = (weight * a).sum(), (weight * b).sum(1)
    around = a - a_middle
    turn = (weight * around.conj() * (b - b_middle[:, None])).sum(1) / (weight * np.abs(around) ** 2).sum()
    at_middle = _smoothed(b_middle)
    turn = _smoothed(turn)
    shift = at_middle - turn * a_middle
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.asarray(np.moveaxis(np.array(rows), 2, 0), np.float32)


def _smoothed(track: np.ndarray[Any, np.dtype[np.complex128]]) -> np.ndarray[Any, np.dtype[np.complex128]]:
    """Along the frames; beyond the ends it goes on as it came, or a face that moves there would be drawn inward."""
    reach = min(3, len(track) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _STEADINESS) ** 2)
    return np.convolve(np.pad(track, reach, mode="reflect", reflect_type="odd"), kernel / kernel.sum(), mode="valid")


def rim_of(mask: Float32, lowest: float) -> Float32:
    """Points along the mask's edge, (n, 2), above the row `lowest`: beneath the chin neck or background may show."""
    contours, _ = cv2.findContours((mask > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    rim = np.asarray(max(contours, key=len)[:, 0], np.float32)
    rim = rim[rim[:, 1] < lowest]
    return np.ascontiguousarray(rim[:: max(1, len(rim) // _RIM_POINTS)])


def fitted(system: Float32, values: Float32) -> Float32:
    """Least squares (n, 3) -> (n, 3) without the points that fit badly: hair that moved, not light that changed."""
    weight = np.ones((len(values), 1), np.float32)
    for _ in range(_FITS):
        found = np.linalg.lstsq(system * weight, values * weight, rcond=None)[0]
        off = np.abs(values - system @ found).max(axis=1, keepdims=True)
        weight = 1 / (1 + (off / _BAD_FIT) ** 2)
    return np.asarray(found, np.float32)


def sampled(picture: Planes, at: Float32) -> Float32:
    """Y, U, V at points (n, 2): (n, 3)."""
    x, y = at.astype(int).T
    return np.stack([picture.y[y, x], picture.u[y // 2, x // 2], picture.v[y // 2, x // 2]], -1).astype(np.float32)


def at_half(place: Float32) -> Float32:
    """The same similarity for the planes of colour."""
    half = place.copy()
    half[:, 2] *= 0.5
    return half


def laid(source: Any, place: Float32, shape: tuple[int, ...], interpolation: int = cv2.INTER_CUBIC) -> Any:
    """`source` put where `place` says into a plane of that shape; of the source's type."""
    return _cv2.warpAffine(source, place, (shape[1], shape[0]), flags=interpolation, borderMode=cv2.BORDER_REPLICATE)

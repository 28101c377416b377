"""`coords.pkl` of LiveTalking's avatars: where the face is in each frame, as a pickle, read without running its code.

A list of (top, bottom, left, right) in pixels, the numbers plain or NumPy's. A pickle may name any function to be
called while it is read; here only those that make a NumPy number are known, and any other ends the reading.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from opentalking.avatars import AvatarError

_NUMBERS = {
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # a number's bytes, in pickles that Python 2 could read
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
}


class _Numbers(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NUMBERS:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_coords(path: Path) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the face in each frame, pixels. Raises AvatarError if it is anything else."""
    where = f"{path.parent.name}/{path.name}"
    try:
        with path.open("rb") as file:
            boxes = [[int(number) for number in box] for box in _Numbers(file).load()]
        read = msgspec.convert(boxes, list[tuple[int, int, int, int]])
    except Exception as error:  # a pickle can be wrong in any way
        raise AvatarError(f"{where}: not a list of (top, bottom, left, right): {error}") from error
    if not read or any(top >= bottom or left >= right for top, bottom, left, right in read):
        raise AvatarError(f"{where}: not a list of (top, bottom, left, right) in which the first of each pair is less")
    return [(left, top, right, bottom) for top, bottom, left, right in read]


def share_of(box: tuple[int, int, int, int], width: int, height: int) -> list[float]:
    """The box in 0..1 of a picture of that size, cut at its edges."""
    shares = np.array(box) / np.array([width, height, width, height])
    return [float(share) for share in np.clip(shares, 0, 1)]

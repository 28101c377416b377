"""A patch with a soft border, laid into an I420 picture: how a network's mouth comes back into the face.

The mask is made once a picture; a frame then costs a mix of three small boxes. For networks that draw a whole patch
anew; the portrait moves the picture's own pixels, and adds what changed (docs/decisions/2026-11-25-patches.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opentalking.models.planes import CENTRE, Planes, halved
from opentalking.types import Float32, UInt8

_SEEN = 1 / 512  # share from which on a pixel belongs to the patch: less changes no pixel by half a level


@dataclass(frozen=True, slots=True)
class SoftPatch:
    """`box`: left, top, right, bottom, pixels, even; `weight` float32 (rows, columns): how much of the patch counts
    there, 0..1; `weight_half` the same for the planes of colour."""

    box: tuple[int, int, int, int]
    weight: Float32
    weight_half: Float32

    def lay(self, yuv: Float32, share: float, face: Planes) -> None:
        """Mix `yuv`, centred YUV of the box, float32 (rows, columns, 3), into `face`, `share` (0..1) of its weight.

        Nothing outside of the box is touched."""
        chroma = halved(yuv[..., 1:]) + CENTRE[1:]
        self.lay_planes((yuv[..., 0] + CENTRE[0], chroma[..., 0], chroma[..., 1]), share, face)

    def lay_planes(self, drawn: tuple[Float32, Float32, Float32], share: float, face: Planes) -> None:
        """The same of the box as it is kept: Y, float32 (rows, columns), and U and V at half its size."""
        left, top, right, bottom = self.box
        half = np.s_[top // 2 : bottom // 2, left // 2 : right // 2]
        weight, weight_half = self.weight * np.float32(share), self.weight_half * np.float32(share)
        _mix(face.y[top:bottom, left:right], drawn[0], weight)
        _mix(face.u[half], drawn[1], weight_half)
        _mix(face.v[half], drawn[2], weight_half)


def soft_patch(mask: Float32, within: tuple[int, int, int, int] | None = None) -> SoftPatch:
    """The patch of a mask over the whole picture, float32 (height, width) in 0..1.

    The box has even edges, because chroma has half of them; it keeps inside `within` (left, top, right, bottom), of
    which an odd edge loses a row. Raises ValueError if nothing is to be seen."""
    height, width = mask.shape
    least_x, least_y, most_x, most_y = within or (0, 0, width, height)
    seen = mask > _SEEN
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        raise ValueError("nothing of the patch is in the picture")
    left, right = _even(int(columns[0]), int(columns[-1]), least_x, most_x)
    top, bottom = _even(int(rows[0]), int(rows[-1]), least_y, most_y)
    weight = np.ascontiguousarray(mask[top:bottom, left:right], np.float32)
    return SoftPatch((left, top, right, bottom), weight, halved(weight))


def _even(first: int, last: int, least: int, most: int) -> tuple[int, int]:
    """From which even pixel to which, one past the last."""
    return max(first // 2 * 2, -(-least // 2) * 2), min(last // 2 * 2 + 2, most // 2 * 2)


def _mix(under: UInt8, over: Float32, weight: Float32) -> None:
    mixed = under + (over - under) * weight
    np.copyto(under, np.clip(np.rint(mixed), 0, 255), casting="unsafe")

"""Pictures as I420: one array of (height * 3 // 2, width) bytes holding full luma, then U and V at half size.

Everything that happens per frame happens on these planes: half the pixels of BGR, and no conversion at the end.
BT.601, limited range, as video at these sizes is read. "Centred" values are Y-16, U-128, V-128: black is zero, so light
and shade are a plain factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from opentalking.types import Float32, UInt8, i420_shape

CENTRE: Float32 = np.array([16, 128, 128], np.float32)
_FROM_BGR: Float32 = np.array(
    [[24.966, 128.553, 65.481], [112.0, -74.203, -37.797], [-18.214, -93.786, 112.0]], np.float32
) / np.float32(255)
_cv2: Any = cv2  # its stubs know neither dtypes nor that its remap's second map may be None


@dataclass(frozen=True, slots=True)
class Planes:
    """Views into one I420 array: `y` (height, width), `u` and `v` (height // 2, width // 2), uint8."""

    y: UInt8
    u: UInt8
    v: UInt8


def planes(i420: UInt8) -> Planes:
    """The three planes of a contiguous I420 array, sharing its memory."""
    rows, width = i420.shape
    height = rows * 2 // 3
    if not i420.flags.c_contiguous or i420_shape(width, height) != (rows, width):
        raise ValueError(f"not a contiguous I420 picture: shape {i420.shape}")
    chroma = i420[height:].reshape(2, height // 2, width // 2)
    return Planes(i420[:height], chroma[0], chroma[1])


def centred(bgr: UInt8 | Float32) -> Float32:
    """BGR in 0..255, (…, 3), to centred YUV, float32 of the same shape."""
    yuv: Float32 = np.asarray(bgr, np.float32) @ _FROM_BGR.T
    return yuv


def halved(picture: Float32) -> Float32:
    """(height, width, …) with even sides to half size, each pixel the mean of four."""
    height, width = picture.shape[:2]
    return resized(picture, (width // 2, height // 2), cv2.INTER_AREA)


def to_i420(bgr: UInt8) -> UInt8:
    """BGR with even sides to I420, chroma averaged over its four pixels."""
    height, width = bgr.shape[:2]
    yuv = centred(bgr)
    picture = np.empty(i420_shape(width, height), np.uint8)
    target = planes(picture)
    target.y[:] = np.rint(yuv[..., 0] + CENTRE[0])
    chroma = np.rint(halved(yuv[..., 1:]) + CENTRE[1:])
    target.u[:], target.v[:] = chroma[..., 0], chroma[..., 1]
    return picture


def identity_map(width: int, height: int, x0: int = 0, y0: int = 0) -> Float32:
    """The map under which remap changes nothing, from (x0, y0) on: (height, width, 2) of x, y."""
    return np.stack(np.meshgrid(np.arange(x0, x0 + width), np.arange(y0, y0 + height)), -1).astype(np.float32)


def resized(picture: Float32, size: tuple[int, int], interpolation: int = cv2.INTER_LINEAR) -> Float32:
    """`picture` at `size` (width, height)."""
    result: Float32 = _cv2.resize(picture, size, interpolation=interpolation)
    return result


def remap_luma(source: UInt8, where: Float32, out: UInt8) -> None:
    """Fill `out` (h, w), a view with contiguous rows, with `source` at `where` (h, w, 2), edges repeated.

    Bicubic: bilinear leaves half of the fine contrast, and another half at every other fraction of a pixel, so that a
    slowly moving face would shimmer. It costs 0.8 ms more on 512 x 512."""
    _cv2.remap(source, where, None, cv2.INTER_CUBIC, dst=out, borderMode=cv2.BORDER_REPLICATE)


def remap_chroma(source: UInt8, where: Float32, out: UInt8) -> None:
    """The same for a plane of colour, bilinear: there nobody sees the difference."""
    _cv2.remap(source, where, None, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)


def resampled(field: Float32, where: Float32) -> Float32:
    """`field` (h, w, …) at `where` (h, w, 2), bilinear, edges repeated."""
    result: Float32 = _cv2.remap(field, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return result


def covering(picture: UInt8, width: int, height: int) -> UInt8:
    """Scaled to cover width x height and cut: evenly at the sides, at the bottom rather than over the head."""
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return picture
    scale = max(width / columns, height / rows)
    size = (max(width, round(columns * scale)), max(height, round(rows * scale)))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (size[0] - width) // 2, (size[1] - height) // 4
    return np.ascontiguousarray(scaled[top : top + height, left : left + width], np.uint8)

"""Pictures as I420: one array of (height * 3 // 2, width) bytes holding full luma, then U and V at half size.

Everything that happens per frame happens on these planes: half the pixels of BGR, and no conversion at the end.
BT.601, limited range, as video at these sizes is read. "Centred" values are Y-16, U-128, V-128: black is zero, so light
and shade are a plain factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from opentalking.types import Float32, UInt8, i420_shape

CENTRE: Float32 = np.array([16, 128, 128], np.float32)
_FROM_BGR = (
    np.array(
        [[24.966, 128.553, 65.481], [112.0, -74.203, -37.797], [-18.214, -93.786, 112.0]],
        np.float32,
    )
    / 255
)


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
    return np.asarray(bgr, np.float32) @ _FROM_BGR.T


def halved(picture: Float32) -> Float32:
    """(height, width, …) with even sides to half size, each pixel the mean of four."""
    height, width = picture.shape[:2]
    return cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


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


def identity_map(width: int, height: int) -> Float32:
    """The map under which cv2.remap changes nothing: (height, width, 2) of x, y."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)

"""Short videos of a portrait that sways, and of nobody."""

from __future__ import annotations

import struct
from collections.abc import Container
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from opentalking.types import UInt8

NOBODY = np.full((64, 64, 3), 90, np.uint8)


def sway(bgr: UInt8, number: int) -> UInt8:
    """The portrait at frame `number`: leaned and moved by a few pixels, without a jump."""
    height, width = bgr.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height * 0.7), 3 * np.sin(number / 8), 1.0)
    matrix[0, 2] += 6 * np.sin(number / 5)
    return np.asarray(cv2.warpAffine(bgr, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


def film(
    path: Path, bgr: UInt8, frames: int, fps: int = 25, empty: Container[int] = (), pixel_shape: Fraction | None = None
) -> Path:
    """Write a video of so many frames; those in `empty` show nobody. The codec is the container's usual one.
    `pixel_shape`: width of a pixel over its height."""
    codec = {".mp4": "libx264", ".mov": "libx264", ".webm": "libvpx", ".avi": "mpeg4"}[path.suffix]
    height, width = (side // 2 * 2 for side in bgr.shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 2_000_000
        if pixel_shape is not None:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        for number in range(frames):
            shown = cv2.resize(NOBODY, (width, height)) if number in empty else sway(bgr, number)[:height, :width]
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def growing(path: Path, side: int) -> Path:
    """A WebM whose header says 64x64, as its first second is; then it has pictures of that side."""
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number, raw in enumerate([*_vp8(64, 30), *_vp8(side, 5)]):
            packet = av.Packet(raw)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


def _vp8(side: int, frames: int) -> list[bytes]:
    """Grey squares, coded."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = side, side, "yuv420p", Fraction(1, 25)
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 90, np.uint8), format="bgr24").reformat(
        format="yuv420p"
    )
    coded = []
    for number in range(frames):
        frame.pts = number
        coded += [bytes(packet) for packet in encoder.encode(frame)]
    return coded + [bytes(packet) for packet in encoder.encode(None)]


def held_sideways(path: Path) -> Path:
    """Say in an MP4's track header that its pictures are to be turned by 90 degrees clockwise, as phones do."""
    raw = bytearray(path.read_bytes())
    matrix = raw.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2, version 0
    raw[matrix : matrix + 36] = struct.pack(">9I", 0, 1 << 16, 0, 0xFFFF0000, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(raw)
    return path

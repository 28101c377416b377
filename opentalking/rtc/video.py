"""Video encoders for one live stream: I420 in, one encoded picture out, no delay.

Settings are for a talking head on a CPU (figures: docs/media.md): constant quality capped by a rate buffer of 0.4 s, so
that a still background costs neither bits nor packets, and keyframes hardly finer than what follows them, so that they
do not flood the network. Every packet saved is worth as much CPU as it costs to compress better: the idle loop, encoded
once and sent for ever, gets the slow preset.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from opentalking.types import FPS, UInt8

Codec = Literal["h264", "vp8"]
Effort = Literal["live", "once"]

_RATE_BUFFER_S = 0.4
_RECONFIGURE_RATIO = 0.2  # a bitrate estimate must differ by this much to be worth a new encoder (and its keyframe)


class VideoEncoder:
    """One H.264 or VP8 stream. `encode` may run in any one thread at a time; it releases the interpreter lock. The
    pictures' size may change on the way: the first of another size is a keyframe that tells it."""

    def __init__(self, codec: Codec, bitrate: int, effort: Effort = "live") -> None:
        self.codec: Codec = codec
        self._effort: Effort = effort
        self._size = (0, 0)  # width, height of what `_context` encodes
        self._bitrate = bitrate
        self._context: VideoCodecContext | None = None
        self._frames = 0

    @property
    def bitrate(self) -> int:
        return self._bitrate

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at `bitrate` bit/s from the next picture on, a keyframe; small changes are ignored. From any thread."""
        if abs(bitrate - self._bitrate) > _RECONFIGURE_RATIO * self._bitrate:
            self._bitrate = bitrate
            self._context = None

    def close(self) -> None:
        """Free the codec's memory."""
        self._context = None

    def encode(self, pixels: UInt8, keyframe: bool = False) -> tuple[bytes, bool]:
        """Encode uint8 I420 (height*3//2, width). Returns the access unit and whether it is a keyframe."""
        context = self._context  # set_bitrate may take it away meanwhile, from another thread
        size = pixels.shape[1], pixels.shape[0] * 2 // 3
        if context is None or size != self._size:
            context = self._context = _open(self.codec, *size, self._bitrate, self._effort)
            self._size, self._frames = size, 0
        frame = _frame(np.ascontiguousarray(pixels), *size)
        frame.pts = self._frames
        frame.time_base = Fraction(1, FPS)
        frame.pict_type = PictureType.I if keyframe or self._frames == 0 else PictureType.NONE
        self._frames += 1
        packets = context.encode(frame)
        return b"".join(bytes(packet) for packet in packets), any(packet.is_keyframe for packet in packets)


def _frame(pixels: UInt8, width: int, height: int) -> av.VideoFrame:
    """I420 as the codec takes it; not copied, unless PyAV would take two rows less (it counts them by the six)."""
    if height % 4 == 0:
        return av.VideoFrame.from_numpy_buffer(pixels, "yuv420p")
    frame = av.VideoFrame(width, height, "yuv420p")
    chroma = pixels[height:].reshape(2, height // 2, width // 2)
    for plane, samples in zip(frame.planes, (pixels[:height], *chroma), strict=True):
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        lines[:, : plane.width] = samples
    return frame


def _open(codec: Codec, width: int, height: int, bitrate: int, effort: Effort) -> VideoCodecContext:
    name = {"h264": "libx264", "vp8": "libvpx"}[codec]
    context = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.framerate = Fraction(FPS, 1)
    context.time_base = Fraction(1, FPS)
    context.thread_count = 1
    context.options = _h264_options(bitrate, effort) if codec == "h264" else _vp8_options(bitrate)
    if codec == "vp8":
        context.bit_rate = bitrate
    context.open()
    return context


def _h264_options(bitrate: int, effort: Effort) -> dict[str, str]:
    return {
        "preset": {"live": "superfast", "once": "medium"}[effort],
        "tune": "zerolatency",
        "profile": "baseline",
        "level": "31",
        "crf": {"live": "27", "once": "26"}[effort],
        "maxrate": str(bitrate),
        "bufsize": str(int(bitrate * _RATE_BUFFER_S)),
        "forced-idr": "1",
        "g": "100000",
        "x264-params": "scenecut=0:sliced-threads=0:ipratio=1.1",
    }


def _vp8_options(bitrate: int) -> dict[str, str]:
    return {
        "deadline": "realtime",
        "cpu-used": "-12",
        "noise-sensitivity": "0",
        "lag-in-frames": "0",
        "error-resilient": "default",
        "static-thresh": "100",
        "crf": "12",
        "qmin": "4",
        "qmax": "52",
        "maxrate": str(bitrate),
        "bufsize": str(int(bitrate * _RATE_BUFFER_S)),
        "g": "100000",
    }

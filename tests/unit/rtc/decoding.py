"""Real decoders, as strict as they come: what a browser would have to swallow."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from opentalking.rtc.video import Codec
from opentalking.types import Int16, UInt8


class VideoDecoder:
    """Decodes access units one by one; damaged input raises."""

    def __init__(self, codec: Codec) -> None:
        context = cast(VideoCodecContext, av.CodecContext.create({"h264": "h264", "vp8": "vp8"}[codec], "r"))
        context.thread_count = 1
        context.options = {"err_detect": "explode", "flags": "low_delay"}
        self._context = context

    def decode(self, unit: bytes) -> UInt8:
        """The picture of this access unit, uint8 I420. Fails unless it is exactly one."""
        frames = self._context.decode(cast(Any, av.Packet(unit)))
        assert len(frames) == 1, f"{len(frames)} pictures"
        assert not frames[0].is_corrupt
        return np.asarray(frames[0].to_ndarray(format="yuv420p"), np.uint8)


def decode_sound(packets: Iterable[bytes]) -> Int16:
    """The sound of Opus packets, 48 kHz mono."""
    context = cast(Any, av.CodecContext.create("libopus", "r"))
    context.sample_rate = 48_000
    context.layout = "mono"
    context.open()
    parts = [np.zeros(0, np.int16)]
    for number, data in enumerate(packets):
        packet: Any = av.Packet(data)
        packet.pts, packet.time_base = number * 960, Fraction(1, 48_000)
        parts.extend(frame.to_ndarray().reshape(-1) for frame in context.decode(packet))
    return np.concatenate(parts)

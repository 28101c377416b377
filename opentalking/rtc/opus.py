"""Opus, one packet of 20 ms at a time, mono at 48 kHz. Silence is encoded once and then repeated."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from opentalking.types import PACKET_SAMPLES, PLAYBACK_RATE, Int16

_SETTLE_PACKETS = 4  # zeros that go through the encoder before the cached silence may replace them


class OpusEncoder:
    """One live stream. `encode` takes int16 (960,) or None for silence, and returns one packet."""

    def __init__(self, bitrate: int) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate = PLAYBACK_RATE
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = bitrate
        context.time_base = Fraction(1, PLAYBACK_RATE)
        context.options = {"application": "voip", "frame_duration": "20", "compression_level": "5"}
        context.open()
        self._context = context
        self._pts = 0
        self._zeros = np.zeros(PACKET_SAMPLES, np.int16)
        self._silent = 0
        self._silence = b""

    def encode(self, pcm: Int16 | None) -> bytes:
        if pcm is not None:
            self._silent = 0
            return self._encode(pcm)
        if self._silent < _SETTLE_PACKETS:
            self._silent += 1
            self._silence = self._encode(self._zeros)
        return self._silence

    def _encode(self, pcm: Int16) -> bytes:
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = PLAYBACK_RATE
        frame.pts = self._pts
        frame.time_base = Fraction(1, PLAYBACK_RATE)
        self._pts += PACKET_SAMPLES
        return b"".join(bytes(packet) for packet in self._context.encode(frame))

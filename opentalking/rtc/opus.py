"""Opus, mono at 48 kHz. We send a packet each 20 ms; its silence is encoded once and then repeated."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from opentalking.types import PACKET_SAMPLES, PLAYBACK_RATE, Int16

_TIME_BASE = Fraction(1, PLAYBACK_RATE)
_SILENCE_BYTES = 3  # a packet this short is CELT's silence frame: it sounds of nothing however often it is repeated


class OpusEncoder:
    """One live stream. `encode` takes int16 (960,) or None for silence, and returns one packet."""

    def __init__(self, bitrate: int) -> None:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate = PLAYBACK_RATE
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = bitrate
        context.time_base = _TIME_BASE
        # "audio" keeps to CELT: half the CPU of "voip" and less delay, for half again as many bits (docs/media.md)
        context.options = {"application": "audio", "frame_duration": "20", "compression_level": "5"}
        context.open()
        self._context = context
        self._pts = 0
        self._frame = av.AudioFrame(format="s16", layout="mono", samples=PACKET_SAMPLES)
        self._frame.sample_rate = PLAYBACK_RATE
        self._frame.time_base = _TIME_BASE
        self._zeros = np.zeros(PACKET_SAMPLES, np.int16)
        self._silence = b""  # to be repeated, once the encoder has come to rest after speech

    def encode(self, pcm: Int16 | None) -> bytes:
        if pcm is not None:
            self._silence = b""
            return self._encode(pcm)
        if self._silence:
            return self._silence
        packet = self._encode(self._zeros)
        if len(packet) <= _SILENCE_BYTES:
            self._silence = packet
        return packet

    def _encode(self, pcm: Int16) -> bytes:
        self._frame.planes[0].update(pcm.tobytes())
        self._frame.pts = self._pts
        self._pts += PACKET_SAMPLES
        return b"".join([bytes(packet) for packet in self._context.encode(self._frame)])


class OpusDecoder:
    """One stream from a browser, of whatever packets it makes: 2.5 to 120 ms, mono or stereo."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "r")
        context.sample_rate = PLAYBACK_RATE
        context.layout = "mono"  # a stereo packet is mixed down
        context.open()
        self._context = context

    def decode(self, packet: bytes) -> list[av.AudioFrame]:
        """Its sound as s16 frames. Raises av.error.FFmpegError if it is not Opus."""
        return self._context.decode(av.Packet(packet))

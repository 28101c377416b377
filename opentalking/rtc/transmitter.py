"""AV packing: every 20 ms, the playout's sound and, when one begins with it, its picture become RTP packets.

    clock ──> playout.tick ──> sound ──> Opus ──────────────────────────> RTP
                          └──> picture ──> idle loop: looked up ────────> RTP
                                      └──> live: encoded in a thread ───> RTP, with the time stamp of its sound

The sound never waits for a picture. Pictures that come while one is still being encoded wait for it, up to 120 ms; then
the oldest gives way. Late pictures carry the time stamps of their sound, so a browser shows them in step.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import Executor
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from opentalking.rtc.clock import MediaClock
from opentalking.rtc.opus import OpusEncoder
from opentalking.rtc.playout import Picture, Playout
from opentalking.rtc.sender import RtpSender
from opentalking.rtc.stream import VideoStream
from opentalking.types import FPS, PACKET_MS, PACKET_SAMPLES

VIDEO_CLOCK_RATE = 90_000
_VIDEO_TICKS = VIDEO_CLOCK_RATE * PACKET_MS // 1000  # of a picture's time stamp, per audio packet
_GAPS = 20 * FPS
_WAITING = 3  # pictures; with the one that is being encoded, as many as the playout leaves untouched
_VIDEO_TIME_BASE = Fraction(1, VIDEO_CLOCK_RATE)


class Transmitter:
    """One session's media on their way to one browser. `run` returns when the connection is down."""

    def __init__(
        self,
        clock: MediaClock,
        playout: Playout,
        opus: OpusEncoder,
        stream: VideoStream,
        audio: RtpSender,
        video: RtpSender,
        executor: Executor,
    ) -> None:
        self._clock = clock
        self._playout = playout
        self._opus = opus
        self.stream = stream
        self._audio = audio
        self._video = video
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        mime_type = {"h264": "video/H264", "vp8": "video/VP8"}[stream.codec]
        self._packer: Any = get_encoder(RTCRtpCodecParameters(mimeType=mime_type, clockRate=VIDEO_CLOCK_RATE))
        self._encoding = False
        self._waiting: deque[tuple[int, Picture]] = deque(maxlen=_WAITING)
        self._failure: BaseException | None = None
        self.dropped = 0  # pictures that gave way to the next
        self._sent_at: deque[float] = deque(maxlen=_GAPS)

    @property
    def gap_p99_ms(self) -> float:
        """The longest of a hundred gaps between pictures handed to RTP in the last 20 s; 0 before the first."""
        gaps = sorted(after - before for before, after in pairwise(self._sent_at))
        return gaps[-1 - len(gaps) // 100] * 1000 if gaps else 0.0

    async def run(self) -> None:
        """Send until the transport is down. Raises what an encoder raised."""
        await self._audio.started.wait()
        stalls = self._clock.stalls
        while self._audio.is_open:
            number = await self._clock.tick()
            if self._clock.stalls != stalls:  # the last reports are wrong now, and the tracks' next ones a second apart
                stalls = self._clock.stalls
                self._audio.report()
                self._video.report()
            if self._failure is not None:
                raise self._failure
            picture, pcm = self._playout.tick(self._video.timestamp(number * _VIDEO_TICKS))
            self._audio.send((self._opus.encode(pcm),), number * PACKET_SAMPLES)
            if picture is not None:
                self._show(number, picture)

    def _show(self, number: int, picture: Picture) -> None:
        if self._encoding:
            self.dropped += len(self._waiting) == _WAITING
            self._waiting.append((number, picture))
        elif self.stream.needs_encoder(picture):
            self._encoding = True
            self._executor.submit(self._encode, number, picture)
        else:
            self._send(number, self.stream.encode(picture))

    def _encode(self, number: int, picture: Picture) -> None:
        """In a thread of the executor."""
        try:
            unit = self.stream.encode(picture)
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._failed, error)
        else:
            self._loop.call_soon_threadsafe(self._encoded, number, unit)

    def _encoded(self, number: int, unit: bytes) -> None:
        self._encoding = False
        self._send(number, unit)
        while self._waiting and not self._encoding:
            self._show(*self._waiting.popleft())

    def _failed(self, error: BaseException) -> None:
        self._failure = error

    def _send(self, number: int, unit: bytes) -> None:
        packet = av.Packet(unit)
        packet.pts, packet.time_base = number * _VIDEO_TICKS, _VIDEO_TIME_BASE
        payloads, timestamp = self._packer.pack(packet)
        self._video.send(payloads, timestamp)
        self._sent_at.append(time.monotonic())

"""The two tracks aiortc pulls from. The audio track runs the clock and the playout; the video track follows it.

aiortc asks each track for its next packet in a task of its own. The sound must never wait for a picture, so audio's
task takes every step and leaves the picture to be collected; one that is not collected in time gives way to the next.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from fractions import Fraction
from typing import Any

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from opentalking.rtc.clock import MediaClock
from opentalking.rtc.opus import OpusEncoder
from opentalking.rtc.playout import Picture, Playout
from opentalking.rtc.stream import VideoStream
from opentalking.types import PACKET_MS, PACKET_SAMPLES, PLAYBACK_RATE

_AUDIO_TIME_BASE = Fraction(1, PLAYBACK_RATE)
_VIDEO_TIME_BASE = Fraction(1, 90_000)
_VIDEO_TICKS = 90_000 * PACKET_MS // 1000  # of a picture's time stamp, per audio packet


class VideoTrack(MediaStreamTrack):
    """Encodes the newest picture in `executor` (the idle loop is only looked up) and hands it to aiortc."""

    kind = "video"

    def __init__(self, stream: VideoStream, executor: Executor) -> None:
        super().__init__()
        self.stream = stream
        self._executor = executor
        self._next: tuple[int, Picture] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.dropped = 0

    def offer(self, number: int, picture: Picture) -> None:
        """A picture is due now, with audio packet `number`."""
        self.dropped += self._next is not None
        self._next = (number, picture)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def recv(self) -> av.Packet[Any]:
        loop = asyncio.get_running_loop()
        while self._next is None:
            if self.readyState != "live":
                raise MediaStreamError
            self._waiter = loop.create_future()
            await self._waiter
        (number, picture), self._next = self._next, None
        if self.stream.needs_encoder(picture):
            unit = await loop.run_in_executor(self._executor, self.stream.encode, picture)
        else:
            unit = self.stream.encode(picture)
        packet = av.Packet(unit)
        packet.pts, packet.time_base = number * _VIDEO_TICKS, _VIDEO_TIME_BASE
        return packet

    def stop(self) -> None:
        super().stop()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class AudioTrack(MediaStreamTrack):
    """Ticks every 20 ms: takes the playout's sound, and hands its picture, when one begins, to the video track."""

    kind = "audio"

    def __init__(self, clock: MediaClock, playout: Playout, encoder: OpusEncoder, video: VideoTrack) -> None:
        super().__init__()
        self._clock = clock
        self._playout = playout
        self._encoder = encoder
        self._video = video

    async def recv(self) -> av.Packet[Any]:
        if self.readyState != "live":
            raise MediaStreamError
        number = await self._clock.tick()
        picture, pcm = self._playout.tick()
        if picture is not None:
            self._video.offer(number, picture)
        packet = av.Packet(self._encoder.encode(pcm))
        packet.pts, packet.time_base = number * PACKET_SAMPLES, _AUDIO_TIME_BASE
        return packet

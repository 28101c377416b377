"""A receiver of mirror pictures (mirror.py): keeps what each shows and when it came, not the picture itself.

Two clocks tell the time of a sound or picture: the sender's wall clock, by the newest sender report when its first RTP
packet arrived, by which a browser synchronises; and that arrival.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiortc.codecs
import numpy as np
from aiortc import rtcrtpreceiver
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from .client import Client, Receiver
from .mirror import Reading, reading_of

CLOCK_RATES = {"audio": 48_000, "video": 90_000}
_Arrival: TypeAlias = tuple[float, tuple[float, int] | None]  # Unix time, and the newest report then (Receiver.reports)
_NTP_EPOCH_S = 2_208_988_800  # Unix time of 1900, negated


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds of Unix time: by the sender's clock (nan before its first report), and of arrival."""

    sent: float
    arrived: float


@dataclass
class Watcher(Receiver):
    """`seen` and `heard` belong to whoever reads them: clear them to watch for hours."""

    seen: list[tuple[Moment, Reading]] = field(default_factory=list)
    heard: list[tuple[Moment, np.ndarray]] = field(default_factory=list)  # packets, int16 at 48 kHz
    _arrivals: dict[str, dict[int, _Arrival]] = field(default_factory=lambda: {"audio": {}, "video": {}})
    _mappers: dict[str, Any] = field(default_factory=dict)

    @property
    def heard_samples(self) -> int:
        return sum(len(pcm) for _, pcm in self.heard)

    def samples(self) -> np.ndarray:
        return np.concatenate([pcm for _, pcm in self.heard]) if self.heard else np.zeros(0, np.int16)

    def clear(self) -> None:
        self.seen.clear()
        self.heard.clear()

    def _moment(self, kind: str, pts: int) -> Moment:
        arrivals = self._arrivals[kind]
        timestamp = (pts + self._mappers[kind]._origin) % 2**32
        while (oldest := next(iter(arrivals))) != timestamp:  # they are decoded in the order of their arrival
            del arrivals[oldest]
        arrived, report = arrivals[timestamp]
        if report is None:
            return Moment(math.nan, arrived)
        reported_at, stamp = report
        ticks = (pts - stamp + 2**31) % 2**32 - 2**31
        return Moment(reported_at - _NTP_EPOCH_S + ticks / CLOCK_RATES[kind], arrived)

    def _note_reports(self, receiver: Any) -> None:
        super()._note_reports(receiver)
        kind, handle = receiver.track.kind, receiver._handle_rtp_packet
        self._mappers[kind] = receiver._RTCRtpReceiver__timestamp_mapper

        async def noting(packet: Any, arrival_time_ms: int) -> None:
            self._arrivals[kind].setdefault(packet.timestamp, (time.time(), self.reports.get(kind)))
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = noting

    async def _hear(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0].copy()
                self.heard.append((self._moment("audio", frame.pts), pcm))
                self._arrived.set()

    async def _see(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.seen.append((self._moment("video", frame.pts), reading_of(*planes(frame))))
                self.first_picture.set()
                self._arrived.set()


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Receivers that begin in here decode, whatever `count_only` said."""
    before = rtcrtpreceiver.get_decoder
    rtcrtpreceiver.get_decoder = aiortc.codecs.get_decoder
    try:
        yield
    finally:
        rtcrtpreceiver.get_decoder = before


@contextlib.asynccontextmanager
async def watching(base: str) -> AsyncIterator[Client]:
    """A connected client of the mirror, its receiver a Watcher; both tracks' reports are there."""
    with decoding():
        async with Client(base) as client:
            await client.create(model="mirror")
            await watch_anew(client)
            yield client


async def watch_anew(client: Client) -> Watcher:
    """As after a reload of the page: the connection before, if any, is closed and another made for the same session."""
    await client.receiver.close()
    client.receiver = watcher = Watcher()
    await client.connect()
    await watcher.until(lambda: len(watcher.reports) == 2)
    return watcher


def planes(frame: VideoFrame) -> list[np.ndarray]:
    """Y, U and V of a yuv420p frame, uint8 (rows, columns), not copied."""
    return [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]

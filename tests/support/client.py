"""A client of the server as any other would write it: HTTP, SSE and an aiortc receiver. Nothing of ours is imported."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import av
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription, rtcrtpreceiver
from aiortc.codecs.base import Decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtcpSrPacket
from av.frame import Frame


class _CountingDecoder(Decoder):
    """In place of a decoder: every encoded frame becomes an empty one with its timestamp. Saves the machine's CPU."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def decode(self, encoded_frame: JitterFrame) -> list[Frame]:
        frame: Frame
        if self._kind == "audio":
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.sample_rate = 48_000
        else:
            frame = av.VideoFrame(16, 16, "yuv420p")
        frame.pts = encoded_frame.timestamp
        return [frame]


def count_only() -> None:
    """From now on, every receiver of this process counts frames instead of decoding them."""
    rtcrtpreceiver.get_decoder = lambda codec: _CountingDecoder(codec.mimeType.partition("/")[0])


@dataclass
class Receiver:
    """What a browser would get: decoded sound (48 kHz mono) with arrival times, pictures as I420 with arrival times."""

    keep_pictures: bool = False
    sound: list[tuple[float, np.ndarray]] = field(default_factory=list)
    pictures: list[tuple[float, int, np.ndarray | None]] = field(default_factory=list)
    connection: RTCPeerConnection = field(default_factory=RTCPeerConnection)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    first_picture: asyncio.Event = field(default_factory=asyncio.Event)
    loud: asyncio.Event = field(default_factory=asyncio.Event)
    sound_pts: list[int] = field(default_factory=list)  # one for each entry of `sound`
    reports: dict[str, tuple[float, int]] = field(default_factory=dict)  # newest sender report: NTP seconds, RTP stamp
    microphone: MediaStreamTrack | None = None  # what is sent; set before the offer
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def offer(self) -> str:
        self.connection.addTransceiver("video", direction="recvonly")
        direction = "recvonly" if self.microphone is None else "sendrecv"
        self.connection.addTransceiver(self.microphone or "audio", direction=direction)
        self.connection.on("track", self._on_track)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        for receiver in self.connection.getReceivers():
            self._note_reports(receiver)

    async def until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Until `condition` holds; looked at whenever sound or a picture arrives."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

    async def hear_more(self, ms: float, timeout_s: float = 30.0) -> None:
        """Until so much more sound (or silence) has arrived."""
        wanted = self.heard_samples + ms * 48
        await self.until(lambda: self.heard_samples >= wanted, timeout_s)

    @property
    def heard_samples(self) -> int:
        return sum(len(pcm) for _, pcm in self.sound)

    def clock(self, kind: str, pts: int) -> float:
        """The sender's wall clock at a time stamp of a track, by its newest report."""
        seconds, stamp = self.reports[kind]
        ticks = (pts - stamp + 2**31) % 2**32 - 2**31
        return seconds + ticks / (48_000 if kind == "audio" else 90_000)

    def _note_reports(self, receiver: Any) -> None:
        handle = receiver._handle_rtcp_packet

        async def noting(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket):
                info, origin = packet.sender_info, receiver._RTCRtpReceiver__timestamp_mapper._origin
                if origin is not None:  # aiortc counts a track's time stamps from its first
                    self.reports[receiver.track.kind] = (info.ntp_timestamp / 2**32, info.rtp_timestamp - origin)
            await handle(packet)

        receiver._handle_rtcp_packet = noting

    def _on_track(self, track: Any) -> None:
        self._tasks.append(asyncio.create_task(self._hear(track) if track.kind == "audio" else self._see(track)))

    async def _hear(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.sound.append((time.time(), pcm))
                self.sound_pts.append(frame.pts)
                self._arrived.set()
                if np.abs(pcm).max(initial=0) > 1000:
                    self.loud.set()

    async def _see(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                picture = frame.to_ndarray(format="yuv420p") if self.keep_pictures else None
                self.pictures.append((time.time(), frame.pts, picture))
                self.first_picture.set()
                self._arrived.set()

    def samples(self) -> np.ndarray:
        return np.concatenate([pcm for _, pcm in self.sound]) if self.sound else np.zeros(0, np.int16)

    async def close(self) -> None:
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Events:
    """A session's SSE stream, read in the background."""

    def __init__(self, session: aiohttp.ClientSession, url: str, last_event_id: str | None = None) -> None:
        self.seen: list[tuple[str, str, dict[str, Any]]] = []  # id, event, data
        self._changed = asyncio.Condition()
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self._task = asyncio.create_task(self._read(session, url, headers))

    async def _read(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with session.get(url, headers=headers, timeout=timeout) as response:
            async for event in _parse(response.content):
                async with self._changed:
                    self.seen.append(event)
                    self._changed.notify_all()

    async def wait(
        self, name: str, where: Callable[[dict[str, Any]], bool] = lambda data: True, timeout_s: float = 60.0
    ) -> dict[str, Any]:
        """The first event of that name (seen or to come) whose data satisfies `where`."""
        return self.seen[await self.find(name, where, 0, timeout_s)][2]

    async def find(
        self,
        name: str | tuple[str, ...],
        where: Callable[[dict[str, Any]], bool] = lambda data: True,
        after: int = 0,
        timeout_s: float = 60.0,
    ) -> int:
        """Where in `seen` that event (one of those) is, the first `after` events left out."""
        names = name if isinstance(name, tuple) else (name,)

        def found() -> int | None:
            events = enumerate(self.seen[after:], after)
            return next((number for number, (_, event, data) in events if event in names and where(data)), None)

        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: found() is not None)
            number = found()
            assert number is not None
            return number

    def names(self) -> list[str]:
        return [event for _, event, _ in self.seen]

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def _parse(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    fields: dict[str, str] = {}
    async for line in content:
        text = line.decode().rstrip("\r\n")
        if text:
            key, _, value = text.partition(":")
            fields[key] = value.removeprefix(" ")
        elif "data" in fields:
            yield fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"])
            fields = {}


class Client:
    """One user. `async with Client(base) as client: await client.create(); await client.connect(); …`."""

    def __init__(self, base: str, keep_pictures: bool = False) -> None:
        self.base = base.rstrip("/")
        self.session_id = ""
        self.receiver = self.make_receiver(keep_pictures)
        self.http: aiohttp.ClientSession
        self.events: Events

    def make_receiver(self, keep_pictures: bool) -> Receiver:
        """What the next connection ends in."""
        return Receiver(keep_pictures)

    async def __aenter__(self) -> Self:
        self.http = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.receiver.close()
        if self.session_id:
            await self.call("DELETE", "", allow=(200, 404))
            await self.events.close()
        await self.http.close()

    async def request(self, method: str, path: str, body: Any = None, allow: tuple[int, ...] = (200,)) -> Any:
        async with self.http.request(method, self.base + path, json=body) as response:
            text = await response.text()
            assert response.status in allow, f"{method} {path}: {response.status} {text}"
            return json.loads(text)

    async def call(self, method: str, action: str, body: Any = None, allow: tuple[int, ...] = (200,)) -> Any:
        """A request about this session."""
        return await self.request(method, f"/sessions/{self.session_id}{action}", body, allow)

    async def create(self, **fields: Any) -> str:
        answer = await self.request("POST", "/sessions", {"avatar_id": "presenter", **fields})
        self.session_id = answer["session_id"]
        self.events = Events(self.http, f"{self.base}/sessions/{self.session_id}/events")
        await self.events.wait("session.queued", lambda data: data["position"] == 0)
        return self.session_id

    async def connect(self) -> None:
        """Offer, answer, first picture."""
        answer = await self.call("POST", "/webrtc/offer", {"sdp": await self.receiver.offer(), "type": "offer"})
        await self.receiver.accept(answer["sdp"])
        await asyncio.wait_for(self.receiver.first_picture.wait(), 60)
        await self.call("POST", "/start")

    async def reconnect(self) -> None:
        """As after a reload: the old connection is closed, a new offer is made for the same session."""
        await self.receiver.close()
        self.receiver = self.make_receiver(self.receiver.keep_pictures)
        await self.connect()

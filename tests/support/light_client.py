"""A client that costs little: it connects as any other does, and then takes no notice of sound and picture.

Its microphone is open: it sends the same packet of silence for ever.
"""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from urllib.parse import urlsplit

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from .client import Client, Receiver
from .losses import transports

PACKET_MS = 20
SILENCE = b"\xf8\xff\xfe"  # Opus: 20 ms


class SilentMicrophone(MediaStreamTrack):
    """Sends what is encoded already."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets = 0
        self._began_at = 0.0

    async def recv(self) -> av.Packet:
        if self.readyState != "live":
            raise MediaStreamError
        self._began_at = self._began_at or time.monotonic()
        await asyncio.sleep(max(0.0, self._began_at + self._packets * PACKET_MS / 1000 - time.monotonic()))
        packet = av.Packet(SILENCE)
        packet.pts, packet.time_base = self._packets * PACKET_MS, Fraction(1, 1000)
        self._packets += 1
        return packet


class LightClient(Client):
    """`connect` returns when ICE and DTLS are through; packets are dropped before they are decrypted."""

    def __init__(self, base: str) -> None:
        super().__init__(base)
        self.connects = 0

    def make_receiver(self, keep_pictures: bool) -> Receiver:
        return Receiver(keep_pictures, microphone=SilentMicrophone())

    async def connect(self) -> None:
        connected = asyncio.Event()
        self.receiver.connection.on("connectionstatechange", lambda: self._look(connected))
        await self.receiver.accept(await self.offer())
        await asyncio.wait_for(connected.wait(), 60)
        for transport in transports(self.receiver):
            transport._rx_srtp = None  # aiortc drops what it has no key for
        await self.call("POST", "/start")

    async def offer(self) -> str:
        """Send an offer; returns the answer, which need not be followed."""
        answer = await self.call("POST", "/webrtc/offer", {"sdp": await self.receiver.offer(), "type": "offer"})
        self.connects += 1
        return str(answer["sdp"])

    def _look(self, connected: asyncio.Event) -> None:
        if self.receiver.connection.connectionState == "connected":
            connected.set()

    def forget(self) -> Receiver:
        """A page that was reloaded: a new connection may be made while the old one, returned, is still there."""
        old, self.receiver = self.receiver, self.make_receiver(False)
        return old


async def follow_and_vanish(base: str, session_id: str) -> None:
    """A browser's event stream that is reset after its first line, with the rest unread."""
    address = urlsplit(base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=64)
    writer.write(f"GET /sessions/{session_id}/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    await reader.readline()
    writer.transport.abort()

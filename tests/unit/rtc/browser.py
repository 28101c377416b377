"""An aiortc peer in the place of the browser."""

from __future__ import annotations

import asyncio
from typing import Any

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription


class Browser:
    """Offers to receive, and keeps the tracks it is sent by kind."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection()
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.connected = asyncio.Event()
        self.connection.on("track", lambda track: self.tracks.setdefault(track.kind, track))
        self.connection.on("connectionstatechange", self._state_changed)

    def _state_changed(self) -> None:
        if self.connection.connectionState == "connected":
            self.connected.set()

    async def offer(self) -> str:
        """An offer of what was added to `connection`; by default to receive both kinds."""
        if not self.connection.getTransceivers():
            self.connection.addTransceiver("audio", direction="recvonly")
            self.connection.addTransceiver("video", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        await self.connected.wait()

    async def receive(self, kind: str, count: int) -> list[Any]:
        return [await self.tracks[kind].recv() for _ in range(count)]

    def receiver(self, kind: str) -> Any:
        return next(t.receiver for t in self.connection.getTransceivers() if t.kind == kind)

"""A receiver that costs little: ICE and DTLS are aiortc's, packets are counted by their headers, unread.

`watch()` makes it decode from now on, each packet as it arrives and without a jitter buffer (on loopback nothing is
lost or overtaken): what sounds, by pitch, and what the mirror's pictures show (tests/support/mirror.py). `listen()`
does so with the sound alone.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from aiortc.codecs.h264 import h264_depayload
from aiortc.rtp import RTCP_PSFB_PLI, RtcpPsfbPacket, RtpPacket

from ..support.client import Receiver
from ..support.mirror import Reading, reading_of
from ..support.watcher import planes

_HEADER = struct.Struct("!BBHII")
_PARAMETERS = 7  # NAL unit type that a keyframe opens with, behind a start code of four bytes


class _Unread:
    """In place of SRTP's decryption: RTP headers are in the clear."""

    def unprotect(self, packet: bytes) -> bytes:
        return packet

    unprotect_rtcp = unprotect


@dataclass
class LightReceiver(Receiver):
    """`arrivals`: when the last packet of each picture came, Unix time; `stamps`: its RTP time stamp. The rest is
    filled while it watches or listens: `sounds` by packet, int16 at 48 kHz, `sights` by picture, both with the arrival
    of their last packet."""

    arrivals: list[float] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    sounds: list[tuple[float, np.ndarray]] = field(default_factory=list)
    sights: list[tuple[float, Reading]] = field(default_factory=list)
    _transport: Any = None
    _decrypt: Any = None
    _payload_types: dict[int, str] = field(default_factory=dict)
    _decoded: frozenset[str] = frozenset()
    _can_decode: bool = False  # a keyframe has come
    _unit: bytearray = field(default_factory=bytearray)

    async def accept(self, sdp: str) -> None:
        await super().accept(sdp)
        for transceiver in self.connection.getTransceivers():
            for codec in transceiver._codecs:
                if codec.name.lower() != "rtx":
                    self._payload_types[codec.payloadType] = transceiver.kind
            self._transport = transceiver.receiver.transport

    def stop_reading(self) -> None:
        """Count from now on; after `connect`, which waits for the first picture."""
        self._decrypt = self._transport._rx_srtp
        self._transport._rx_srtp = _Unread()
        self._transport._handle_rtp_data = self._take
        self._transport._handle_rtcp_data = self._ignore

    async def watch(self) -> None:
        """Decode from now on; returns when the keyframe came that pictures begin with."""
        self.listen()
        self._video = av.CodecContext.create("h264", "r")
        self._decoded = frozenset(("audio", "video"))
        video = next(t.receiver for t in self.connection.getTransceivers() if t.kind == "video")
        (source,) = video.getSynchronizationSources()
        request = bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=source.source))
        while not self._can_decode:  # a request that follows a keyframe too soon is not granted, and none is kept
            await self._transport._send_rtp(request)
            seen = len(self.arrivals)
            await self.until(lambda: self._can_decode or len(self.arrivals) > seen)  # noqa: B023

    def listen(self) -> None:
        """Decode the sound from now on; of pictures, the headers."""
        self._audio = av.CodecContext.create("libopus", "r")
        self._audio.sample_rate, self._audio.layout = 48_000, "mono"
        self._transport._rx_srtp = self._decrypt
        self._decoded = frozenset(("audio",))

    async def _take(self, packet: bytes, arrival_time_ms: int) -> None:
        _, marked, _, stamp, _ = _HEADER.unpack_from(packet)
        kind = self._payload_types.get(marked & 0x7F)
        if kind == "video" and marked & 0x80:
            self.arrivals.append(time.time())
            self.stamps.append(stamp)
        if kind in self._decoded:
            parsed = RtpPacket.parse(packet)
            self._hear_packet(parsed) if kind == "audio" else self._see_packet(parsed)
        self._arrived.set()

    async def _ignore(self, packet: bytes) -> None:
        """Reports are not read."""

    def _hear_packet(self, packet: RtpPacket) -> None:
        for frame in self._audio.decode(av.Packet(packet.payload)):
            self.sounds.append((time.time(), frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)]))

    def _see_packet(self, packet: RtpPacket) -> None:
        self._unit += h264_depayload(packet.payload)
        if packet.marker:
            unit, self._unit = bytes(self._unit), bytearray()
            self._can_decode |= unit[4] & 0x1F == _PARAMETERS
            if not self._can_decode:
                return
            for frame in self._video.decode(av.Packet(unit)):
                self.sights.append((time.time(), reading_of(*planes(frame))))


def amplitude(pcm: np.ndarray, hertz: float) -> float:
    """Of one pitch in a packet, int16 at 48 kHz."""
    taper = np.hanning(len(pcm))
    return float(2 * np.abs(pcm @ (taper * np.exp(-2j * np.pi * hertz / 48_000 * np.arange(len(pcm))))) / taper.sum())

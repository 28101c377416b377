"""What a bad network does to a client: packets that get lost, silence, another port. Leans on aiortc's insides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from aiortc.rtp import RtpPacket

from .client import Receiver

_H264_IDR, _H264_FU_A = 5, 28


def transports(receiver: Receiver) -> list[Any]:
    """The DTLS transports of a connection (one, as everything is bundled)."""
    return list({transceiver.receiver.transport for transceiver in receiver.connection.getTransceivers()})


def sockets(receiver: Receiver) -> list[Any]:
    """What aioice has bound."""
    return [protocol for dtls in transports(receiver) for protocol in dtls.transport._connection._protocols]


def lose(receiver: Receiver, share: float, seed: int) -> None:
    """From now on so many of the datagrams that arrive are lost at random, whatever is in them."""
    dice = random.Random(seed)
    for protocol in sockets(receiver):
        protocol.datagram_received = _unless(lambda: dice.random() < share, protocol.datagram_received)


def _unless(lost: Callable[[], bool], receive: Callable[..., None]) -> Callable[..., None]:
    def datagram_received(data: bytes, address: Any) -> None:
        if not lost():
            receive(data, address)

    return datagram_received


class Silence:
    """`with Silence(receiver):` nothing arrives and nothing leaves; the sockets stay. Afterwards all is as before."""

    def __init__(self, receiver: Receiver) -> None:
        self._protocols = sockets(receiver)

    def __enter__(self) -> Silence:
        for protocol in self._protocols:
            protocol.datagram_received = protocol.send_stun = lambda *_: None
            protocol.send_data = swallow
        return self

    def __exit__(self, *_: object) -> None:
        for protocol in self._protocols:
            del protocol.datagram_received, protocol.send_stun, protocol.send_data


async def swallow(*_: Any) -> None:
    """In place of a coroutine that would send."""


def mute(receiver: Receiver) -> None:
    """From now on nothing but answers to ICE checks leaves: a close is not heard on the other side."""
    for dtls in transports(receiver):
        dtls.transport._send = swallow


def never_shake_hands(receiver: Receiver) -> None:
    """It will answer ICE checks for ever and no DTLS."""
    for dtls in transports(receiver):
        dtls.start = swallow


async def another_port(receiver: Receiver) -> None:
    """As when a NAT forgets its mapping: what is sent comes from another port, what goes to the old one is lost.

    Browsers nominate with every check, which is how the server hears of it; aioice does so on demand only."""
    loop = asyncio.get_running_loop()
    for dtls in transports(receiver):
        ice = dtls.transport._connection
        build = ice.build_request
        ice.build_request = lambda pair, nominate, build=build: build(pair, nominate=True)
        for protocol in ice._protocols:
            old, host = protocol.transport, protocol.transport.get_extra_info("sockname")[0]
            moved = _Moved(protocol, old)
            await loop.create_datagram_endpoint(lambda moved=moved: moved, local_addr=(host, 0))
            old.set_protocol(asyncio.DatagramProtocol())


class _Moved(asyncio.DatagramProtocol):
    """The new socket of an ICE protocol; the old one stays bound, so that nobody is told that it is not read."""

    def __init__(self, protocol: Any, old: asyncio.DatagramTransport) -> None:
        self._protocol = protocol
        self._old = old

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self._protocol.datagram_received(data, address)

    def connection_lost(self, error: Exception | None) -> None:
        self._old.close()
        self._protocol.connection_lost(error)


class Arrivals:
    """What arrives before any of it is decoded: sequence numbers of sound, time stamps (90 kHz) of H.264 keyframes.

    A packet sent again (RFC 4588) begins with its old sequence number, which is no part of the picture."""

    def __init__(self, receiver: Receiver) -> None:
        self.sound: set[int] = set()
        self.keyframes: set[int] = set()
        self._repeats: dict[int, int] = {}  # SSRC of repetitions -> of what they repeat
        for rtp in receiver.connection.getReceivers():
            note = self._note_sound if rtp.track.kind == "audio" else self._note_picture
            self._repeats |= rtp._RTCRtpReceiver__rtx_ssrc
            rtp._handle_rtp_packet = _after(note, rtp._handle_rtp_packet)

    def _note_sound(self, packet: RtpPacket) -> None:
        self.sound.add(packet.sequence_number)

    def _note_picture(self, packet: RtpPacket) -> None:
        if _is_idr(packet.payload[2:] if packet.ssrc in self._repeats else packet.payload):
            self.keyframes.add(packet.timestamp)


def _after(note: Callable[[RtpPacket], None], handle: Callable[..., Any]) -> Callable[..., Any]:
    async def handle_rtp_packet(packet: RtpPacket, arrival_time_ms: int) -> None:
        note(packet)
        await handle(packet, arrival_time_ms)

    return handle_rtp_packet


def _is_idr(payload: bytes) -> bool:
    """Whether an RTP payload (RFC 6184) holds a slice of a keyframe, alone or as a fragment of one."""
    if len(payload) < 2:
        return False
    kind = payload[0] & 31
    return (payload[1] & 31 if kind == _H264_FU_A else kind) == _H264_IDR

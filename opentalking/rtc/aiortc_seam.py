"""Everything that leans on the insides of aiortc and aioice, in one place; its test fails if they move.

Our own sender takes the place of aiortc's, on its transport (`take_over`, `Outlet`). What a browser sends is had as
packets (`tap`): aiortc would hold back four, decode them in a thread a track and queue what nobody takes. aioice binds
media to any port; `PortRange` makes it use ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aioice.ice
import aiortc.rtcicetransport
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.codecs import CODECS
from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters, RTCRtpSendParameters
from aiortc.rtp import AnyRtcpPacket, RtpPacket
from aiortc.sdp import SessionDescription

_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_NTP_EPOCH_S = 2_208_988_800  # Unix time of 1900, negated
_CANDIDATE_HOST = re.compile(r"^(a=candidate:\S+ \d+ udp \d+ )(\S+)( \d+ typ host)", re.MULTILINE | re.IGNORECASE)


class Outlet:
    """Where a sender's packets leave: encrypted, and straight to the socket of the nominated candidate pair.

    aiortc's own way there is four coroutines deep.
    """

    def __init__(self, sender: RTCRtpSender) -> None:
        self._sender = sender
        self._dtls: RTCDtlsTransport | None = None

    @property
    def ssrc(self) -> int:
        return self._sender._ssrc

    @property
    def rtx_ssrc(self) -> int:
        return self._sender._rtx_ssrc

    @property
    def is_open(self) -> bool:
        return self._dtls is not None and self._dtls._state is State.CONNECTED

    def open(self, parameters: RTCRtpSendParameters) -> None:
        """The transport is up; from now on the receiver's reports reach the sender."""
        self._dtls = self._sender.transport
        self._dtls._register_rtp_sender(self._sender, parameters)

    def close(self) -> None:
        if self._dtls is not None:
            self._dtls._unregister_rtp_sender(self._sender)
            self._dtls = None

    def send_rtp(self, packet: bytes) -> bool:
        """Send one packet; False if the transport is down."""
        return self.is_open and self._send(self._dtls._tx_srtp.protect(packet))  # type: ignore[union-attr]

    def send_rtcp(self, packet: bytes) -> bool:
        return self.is_open and self._send(self._dtls._tx_srtp.protect_rtcp(packet))  # type: ignore[union-attr]

    def _send(self, data: bytes) -> bool:
        assert self._dtls is not None
        pair = self._dtls.transport._connection._nominated.get(1)
        if pair is None or pair.protocol.transport is None or pair.protocol.transport.is_closing():
            return False
        pair.protocol.transport.sendto(data, pair.remote_addr)
        return True


def take_over(
    sender: RTCRtpSender,
    start: Callable[[RTCRtpSendParameters], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    handle_rtcp: Callable[[AnyRtcpPacket], Awaitable[None]],
) -> None:
    """Have aiortc call these in place of the sender's own `send`, `stop` and `_handle_rtcp_packet`."""
    for name, replacement in (("send", start), ("stop", stop), ("_handle_rtcp_packet", handle_rtcp)):
        if not callable(getattr(sender, name, None)):
            raise AttributeError(f"aiortc's RTCRtpSender has no {name} any more")
        setattr(sender, name, replacement)


class _Tap:
    """In the place of a receiver's jitter buffer: it passes every packet on, and never has a frame to decode."""

    def __init__(self, heard: Callable[[RtpPacket], None]) -> None:
        self._heard = heard

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self._heard(packet)
        return False, None


def tap(receiver: RTCRtpReceiver, heard: Callable[[RtpPacket], None]) -> None:
    """Have aiortc give every packet of a negotiated codec to `heard` as it arrives, and neither order nor decode it.

    Its statistics and reports stay. To be called before the transport is up; `heard` must not raise.
    """
    if not hasattr(receiver, _JITTER_BUFFER):
        raise AttributeError("aiortc's RTCRtpReceiver has no jitter buffer any more")
    setattr(receiver, _JITTER_BUFFER, _Tap(heard))
    receive, stop_decoder = receiver.receive, receiver._handle_disconnect

    async def receive_undecoded(parameters: RTCRtpReceiveParameters) -> None:
        await receive(parameters)
        stop_decoder()  # a thread, just started

    receiver.receive = receive_undecoded  # type: ignore[method-assign]


def announce_address(sdp: str, address: str) -> str:
    """Replace the host candidates' address by the public one of a server behind 1:1 NAT.

    Candidates of the other IP version are left alone: their sockets cannot be reached at that address.
    """

    def public(candidate: re.Match[str]) -> str:
        before, host, after = candidate.groups()
        return before + (address if (":" in host) == (":" in address) else host) + after

    return _CANDIDATE_HOST.sub(public, sdp) if address else sdp


def common_video_codecs(offer_sdp: str) -> set[str]:
    """MIME types that aiortc can send to this offer's first video section: it knows H.264 only as baseline."""
    for media in SessionDescription.parse(offer_sdp).media:
        if media.kind == "video":
            return {codec.mimeType for codec in find_common_codecs(CODECS["video"], media.rtp.codecs)}
    return set()


def transport_closed(connection: RTCPeerConnection) -> bool:
    """Whether the browser itself ended the connection (DTLS close), as opposed to having become unreachable."""
    return connection.connectionState == "closed" or any(
        transceiver.sender.transport.state == "closed" for transceiver in connection.getTransceivers()
    )


def ntp_now() -> int:
    """The time as a 64-bit NTP timestamp (RFC 5905: seconds since 1900, 32-bit fraction)."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return ((seconds + _NTP_EPOCH_S) << 32) | (nanoseconds << 32) // 1_000_000_000


def use_host_addresses() -> None:
    """Let a machine whose only interface is loopback gather it: aioice leaves loopback out even then."""
    original = aioice.ice.get_host_addresses
    if getattr(original, "falls_back", False):
        return

    def with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return original(use_ipv4, use_ipv6) or ["127.0.0.1"]

    with_loopback.falls_back = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = with_loopback


class _StunProtocol(StunProtocol):
    """A socket that hears nothing before its candidate is known, as it is bound a moment earlier.

    A port is used again: what still comes for the connection before would raise AttributeError in aioice.
    """

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if "local_candidate" in self.__dict__:
            super().datagram_received(data, addr)


def ignore_early_datagrams() -> None:
    """Let every later socket of this process drop what arrives before it is a candidate."""
    aioice.ice.StunProtocol = _StunProtocol  # type: ignore[misc]


class PortRange:
    """Makes every later peer connection of this process bind its media within [low, high]."""

    def __init__(self, low: int, high: int) -> None:
        if not 1 <= low <= high <= 65_535:
            raise ValueError(f"not a port range: {low}-{high}")

        class RangedConnection(_RangedConnection):
            ports = range(low, high + 1)

        aiortc.rtcicetransport.Connection = RangedConnection  # type: ignore[attr-defined]


class _RangedConnection(Connection):
    """An ICE connection that gathers its host candidates from `ports`."""

    ports = range(0)

    async def get_component_candidates(self, component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        bound = [(address, protocol) for address in addresses if (protocol := await self._bind(address)) is not None]
        candidates = []
        for address, protocol in bound:
            host, port = protocol.transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=port,
                type="host",
            )
            candidates.append(protocol.local_candidate)
            self._protocols.append(protocol)
            if self.stun_server and ipaddress.ip_address(address).version == 4:
                with contextlib.suppress(Exception):  # as upstream: no answer, no candidate
                    reflexive, _ = await aioice.ice.server_reflexive_candidate(protocol, self.stun_server)
                    candidates.append(reflexive)
        stun, self.stun_server = self.stun_server, None
        try:
            relayed = await super().get_component_candidates(component, [], timeout)
        finally:
            self.stun_server = stun
        return candidates + relayed

    async def _bind(self, address: str) -> StunProtocol | None:
        loop = asyncio.get_running_loop()
        for port in random.sample(self.ports, len(self.ports)):
            with contextlib.suppress(OSError):
                _, protocol = await loop.create_datagram_endpoint(
                    lambda: _StunProtocol(self), local_addr=(address, port)
                )
                return protocol
        return None

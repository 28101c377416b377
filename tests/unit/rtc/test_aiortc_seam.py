"""What this room takes from the insides of aiortc and aioice is there and behaves; an update that moves it shows."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import AsyncIterator
from typing import Any

import aioice.ice
import aiortc.clock
import aiortc.rtcicetransport
import numpy as np
import pytest
from aioice.ice import Connection
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, VideoStreamTrack
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import RTCP_PSFB_PLI, AnyRtcpPacket, RtpPacket

from opentalking.rtc import aiortc_seam as seam
from tests.unit.rtc.browser import Browser

HOST_CANDIDATE = re.compile(r"a=candidate:\S+ \d+ udp \d+ (\S+) (\d+) typ host")


class Sending:
    """A server that sends video to a browser, connected; a packet now and then, from a sender of ours."""

    def __init__(self) -> None:
        self.server = RTCPeerConnection()
        self.track = VideoStreamTrack()
        self.sender: RTCRtpSender = self.server.addTrack(self.track)
        self.browser = Browser()
        self.outlet = seam.Outlet(self.sender)
        self.started: asyncio.Future[RTCRtpSendParameters] = asyncio.get_running_loop().create_future()
        self.rtcp: asyncio.Queue[AnyRtcpPacket] = asyncio.Queue()
        self.stopped = 0
        seam.take_over(self.sender, self.start, self.stop, self.handle_rtcp)

    async def start(self, parameters: RTCRtpSendParameters) -> None:
        self.outlet.open(parameters)
        self.started.set_result(parameters)

    async def stop(self) -> None:
        self.stopped += 1
        self.outlet.close()

    async def handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        self.rtcp.put_nowait(packet)

    async def connect(self) -> None:
        await self.server.setRemoteDescription(RTCSessionDescription(await self.browser.offer(), "offer"))
        await self.server.setLocalDescription(await self.server.createAnswer())
        await self.browser.accept(self.server.localDescription.sdp)
        await self.started

    async def close(self) -> None:
        await self.server.close()
        await self.browser.connection.close()


@pytest.fixture
async def sending() -> AsyncIterator[Sending]:
    made = Sending()
    yield made
    await made.close()


async def test_our_sender_is_started_with_what_was_negotiated(sending: Sending) -> None:
    await sending.connect()
    parameters = await sending.started
    assert parameters.codecs[0].mimeType == "video/VP8"
    assert parameters.muxId and parameters.rtcp.cname
    assert str(sending.outlet.ssrc) in sending.server.localDescription.sdp
    assert str(sending.outlet.rtx_ssrc) in sending.server.localDescription.sdp


async def test_a_packet_that_leaves_by_the_outlet_arrives(sending: Sending) -> None:
    await sending.connect()
    parameters = await sending.started
    header = struct.pack("!BBHII", 0x80, 0x80 | (parameters.codecs[0].payloadType or 0), 7, 0, sending.outlet.ssrc)
    arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def note(packet: Any, arrival_time_ms: int) -> None:
        arrived.set_result(packet)

    sending.browser.receiver("video")._handle_rtp_packet = note
    assert sending.outlet.send_rtp(header + b"payload")
    packet = await asyncio.wait_for(arrived, 20)
    assert (packet.sequence_number, packet.payload, packet.ssrc) == (7, b"payload", sending.outlet.ssrc)


async def test_the_receivers_reports_reach_our_sender(sending: Sending) -> None:
    await sending.connect()
    await sending.browser.receiver("video")._send_rtcp_pli(sending.outlet.ssrc)
    packet = await asyncio.wait_for(sending.rtcp.get(), 20)
    assert (packet.fmt, packet.media_ssrc) == (RTCP_PSFB_PLI, sending.outlet.ssrc)  # type: ignore[union-attr]


async def test_nothing_leaves_before_the_connection_and_after_it(sending: Sending) -> None:
    assert not sending.outlet.is_open
    assert not sending.outlet.send_rtp(b"") and not sending.outlet.send_rtcp(b"")
    await sending.connect()
    assert sending.outlet.is_open
    await sending.server.close()
    assert sending.stopped == 1
    assert not sending.outlet.is_open
    assert not sending.outlet.send_rtp(b"") and not sending.outlet.send_rtcp(b"")


def test_a_sender_that_lacks_what_we_replace_is_noticed_at_once() -> None:
    sender: Any = object()
    nothing: Any = None
    with pytest.raises(AttributeError, match="RTCRtpSender has no send any more"):
        seam.take_over(sender, nothing, nothing, nothing)


async def test_what_a_browser_sends_is_had_as_packets_and_nothing_decodes_or_queues_it(sending: Sending) -> None:
    sending.browser.connection.addTransceiver("video", direction="recvonly")
    sending.browser.connection.addTrack(AudioStreamTrack())
    packets: asyncio.Queue[RtpPacket] = asyncio.Queue()
    tracks: list[Any] = []

    def offered(track: Any) -> None:
        tracks.append(track)
        receiver = next(r for r in sending.server.getReceivers() if r.track is track)
        seam.tap(receiver, packets.put_nowait)

    sending.server.on("track", offered)
    await sending.connect()
    numbers = [(await asyncio.wait_for(packets.get(), 20)).sequence_number for _ in range(10)]
    assert np.diff(numbers).tolist() == [1] * 9
    (track,) = tracks
    with pytest.raises(MediaStreamError):
        await track.recv()  # aiortc's decoder was stopped
    assert track._queue.empty()
    receiver = next(r for r in sending.server.getReceivers() if r.track is track)
    assert not [thread for thread in threading.enumerate() if thread.name == "audio-decoder"]
    stats = await receiver.getStats()
    assert sum(s.packetsReceived for s in stats.values() if s.type == "inbound-rtp") >= 10


def test_a_receiver_that_lacks_what_we_replace_is_noticed_at_once() -> None:
    receiver: Any = object()
    with pytest.raises(AttributeError, match="RTCRtpReceiver has no jitter buffer any more"):
        seam.tap(receiver, print)


async def test_a_connection_knows_that_the_browser_closed_it(sending: Sending) -> None:
    await sending.connect()
    assert not seam.transport_closed(sending.server)
    changed = asyncio.Event()
    sending.sender.transport.on("statechange", changed.set)
    await sending.browser.connection.close()
    await asyncio.wait_for(changed.wait(), 20)
    assert seam.transport_closed(sending.server)


SDP = "\r\n".join(
    [
        "c=IN IP4 10.0.0.5",
        "a=candidate:1 1 udp 2130706431 10.0.0.5 40000 typ host",
        "a=candidate:2 1 UDP 2130706431 fd00::2 40001 typ host",
        "a=candidate:3 1 udp 1694498815 203.0.113.9 40000 typ srflx raddr 10.0.0.5 rport 40000",
        "a=candidate:4 1 udp 33562367 198.51.100.1 5000 typ relay raddr 10.0.0.5 rport 40000",
        "",
    ]
)


def test_only_host_candidates_announce_the_public_address() -> None:
    announced = seam.announce_address(SDP, "192.0.2.77").split("\r\n")
    assert announced[1] == "a=candidate:1 1 udp 2130706431 192.0.2.77 40000 typ host"
    changed = [n for n, line in enumerate(announced) if line != SDP.split("\r\n")[n]]
    assert changed == [1]


def test_a_public_address_of_ipv6_replaces_the_ipv6_candidate() -> None:
    announced = seam.announce_address(SDP, "2001:db8::1").split("\r\n")
    assert announced[2] == "a=candidate:2 1 UDP 2130706431 2001:db8::1 40001 typ host"
    assert [n for n, line in enumerate(announced) if line != SDP.split("\r\n")[n]] == [2]


def test_without_a_public_address_nothing_is_changed() -> None:
    assert seam.announce_address(SDP, "") == SDP


async def test_aiortc_writes_host_candidates_as_they_are_looked_for() -> None:
    browser = Browser()
    sdp = seam.announce_address(await browser.offer(), "192.0.2.77")
    await browser.connection.close()
    hosts = [host for host, _ in HOST_CANDIDATE.findall(sdp) if ":" not in host]
    assert hosts and set(hosts) == {"192.0.2.77"}


def test_our_clock_agrees_with_aiortcs() -> None:
    def theirs() -> int:
        return aiortc.clock.datetime_to_ntp(aiortc.clock.current_datetime())

    millisecond = (1 << 32) // 1000
    for _ in range(100):
        before, ours, after = theirs(), seam.ntp_now(), theirs()
        assert before - millisecond <= ours <= after + millisecond


@pytest.mark.parametrize(("found", "gathered"), [([], ["127.0.0.1"]), (["10.0.0.5"], ["10.0.0.5"])])
def test_loopback_is_gathered_if_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch, found: list[str], gathered: list[str]
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: found)
    seam.use_host_addresses()
    once: Any = aioice.ice.get_host_addresses
    seam.use_host_addresses()
    assert aioice.ice.get_host_addresses is once
    assert once(True, True) == gathered


async def test_a_machine_with_loopback_only_connects(sending: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [])
    seam.use_host_addresses()
    await sending.connect()
    assert "127.0.0.1" in {host for host, _ in HOST_CANDIDATE.findall(sending.server.localDescription.sdp)}


def free_ports(count: int) -> int:
    """First of `count` UDP ports in a row that were free a moment ago."""
    for low in range(42_000, 60_000, count):
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        try:
            for offset, bound in enumerate(sockets):
                bound.bind(("0.0.0.0", low + offset))
            return low
        except OSError:
            continue
        finally:
            for bound in sockets:
                bound.close()
    raise AssertionError("no free ports")


async def test_media_keeps_to_its_port_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", Connection)  # restored afterwards
    low = free_ports(16)
    seam.PortRange(low, low + 15)
    sending = Sending()
    try:
        await sending.connect()
        ports = {int(port) for _, port in HOST_CANDIDATE.findall(sending.server.localDescription.sdp)}
        assert ports and ports <= set(range(low, low + 16))
        ice: Any = sending.sender.transport.transport
        pair = ice._connection._nominated[1]
        assert pair.local_candidate.port in ports
    finally:
        await sending.close()


async def test_a_port_range_that_is_taken_gives_no_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", Connection)
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        seam.PortRange(port, port)
        browser = Browser()
        sdp = await browser.offer()
        await browser.connection.close()
    assert HOST_CANDIDATE.findall(sdp) == []


@pytest.mark.parametrize(("low", "high"), [(0, 5), (9, 8), (1, 65_536)])
def test_what_is_not_a_port_range_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"not a port range: {low}-{high}"):
        seam.PortRange(low, high)


@pytest.mark.parametrize("ranged", [False, True])
async def test_what_arrives_before_a_socket_is_a_candidate_is_dropped(
    monkeypatch: pytest.MonkeyPatch, ranged: bool
) -> None:
    """A port is used again at once, and aioice reads from it before it has noted that it is a candidate."""
    monkeypatch.setattr(aiortc.rtcicetransport, "Connection", Connection)  # restored afterwards
    monkeypatch.setattr(aioice.ice, "StunProtocol", aioice.ice.StunProtocol)
    seam.ignore_early_datagrams()
    if ranged:
        seam.PortRange(42_000, 60_000)
    connection: Any = aiortc.rtcicetransport.Connection(ice_controlling=False)  # type: ignore[attr-defined]
    await connection.gather_candidates()
    protocol = connection._protocols[0]
    arrived: list[bytes] = []
    monkeypatch.setattr(connection, "data_received", lambda data, component: arrived.append(data))
    try:
        protocol.datagram_received(b"\x80 media", ("127.0.0.1", 9))
        candidate = protocol.local_candidate
        del protocol.local_candidate
        protocol.datagram_received(b"\x80 early media", ("127.0.0.1", 9))
        protocol.local_candidate = candidate
    finally:
        await connection.close()
    assert arrived == [b"\x80 media"]

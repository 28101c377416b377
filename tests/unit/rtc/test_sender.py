"""Our sender in aiortc's place, to a real aiortc receiver: reports, losses, keyframes, estimates, leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    pack_remb_fci,
)

from opentalking.rtc.clock import MediaClock
from opentalking.rtc.sender import RtpSender
from tests.unit.rtc.browser import Browser

PATIENCE_S = 20


class Sending:
    """A server that sends both kinds to a browser."""

    def __init__(self) -> None:
        self.server = RTCPeerConnection()
        self.now_s = 100.0
        self.clock = MediaClock(lambda: self.now_s, self._sleep)
        self.keyframes: asyncio.Queue[None] = asyncio.Queue()
        self.audio = self._sender(AudioStreamTrack(), 48_000)
        self.video = self._sender(VideoStreamTrack(), 90_000)
        self.browser = Browser()

    def _sender(self, track: Any, clock_rate: int) -> RtpSender:
        return RtpSender(self.server.addTrack(track), self.clock, clock_rate, lambda: self.keyframes.put_nowait(None))

    async def _sleep(self, seconds: float) -> None:
        self.now_s += seconds

    async def connect(self) -> None:
        await self.server.setRemoteDescription(RTCSessionDescription(await self.browser.offer(), "offer"))
        await self.server.setLocalDescription(await self.server.createAnswer())
        await self.browser.accept(self.server.localDescription.sdp)
        await asyncio.gather(self.audio.started.wait(), self.video.started.wait())

    def arriving(self, kind: str, what: str) -> asyncio.Queue[Any]:
        """Everything that the browser's receiver of that kind gets from now on: `what` is rtp or rtcp."""
        queue: asyncio.Queue[Any] = asyncio.Queue()

        async def note(packet: Any, **_: Any) -> None:
            queue.put_nowait(packet)

        setattr(self.browser.receiver(kind), f"_handle_{what}_packet", note)
        return queue

    async def close(self) -> None:
        await self.server.close()
        await self.browser.connection.close()


@pytest.fixture
async def sending() -> AsyncIterator[Sending]:
    made = Sending()
    async with asyncio.timeout(PATIENCE_S):
        await made.connect()
        yield made
        await made.close()


async def next_report(arriving: asyncio.Queue[Any]) -> RtcpSrPacket:
    while not isinstance(packet := await arriving.get(), RtcpSrPacket):
        pass
    return packet


async def test_both_tracks_reports_name_the_same_moment_of_the_media_clock(sending: Sending) -> None:
    arriving = {kind: sending.arriving(kind, "rtcp") for kind in ("audio", "video")}
    stamps: dict[str, list[int]] = {"audio": [], "video": []}
    await sending.clock.tick()
    for _ in range(2):
        for kind, queue in arriving.items():
            while not queue.empty():
                queue.get_nowait()
            stamps[kind].append((await next_report(queue)).sender_info.rtp_timestamp)
        sending.now_s += 7.5  # nothing was sent meanwhile: the report goes by the clock
    passed = {kind: (after - before) % 2**32 for kind, (before, after) in stamps.items()}
    assert passed == {"audio": 48_000 * 7.5, "video": 90_000 * 7.5}


async def test_a_report_counts_what_was_sent(sending: Sending) -> None:
    arriving = sending.arriving("audio", "rtcp")
    for number in range(3):
        sending.audio.send([b"12345"], number * 960)
    await next_report(arriving)  # may have been on its way before
    info = (await next_report(arriving)).sender_info
    assert (info.packet_count, info.octet_count) == (3, 15)


async def test_time_stamps_and_reports_are_of_one_count(sending: Sending) -> None:
    packets, reports = sending.arriving("video", "rtp"), sending.arriving("video", "rtcp")
    await sending.clock.tick()
    sending.now_s += 2.0
    sending.video.send([b"x"], 90_000 * 2)
    packet = await packets.get()
    assert (await next_report(reports)).sender_info.rtp_timestamp == packet.timestamp


async def test_a_lost_packet_that_is_asked_for_comes_again(sending: Sending) -> None:
    packets = sending.arriving("video", "rtp")
    sending.video.send([b"first", b"second"], 0)
    first = await packets.get()
    await packets.get()
    await sending.browser.receiver("video")._send_rtcp_nack(first.ssrc, [first.sequence_number])
    again = await packets.get()
    assert again.payload == first.sequence_number.to_bytes(2, "big") + b"first"
    assert again.ssrc != first.ssrc


async def test_who_asks_for_the_same_packets_for_ever_is_sent_twice_as_many_as_there_were(sending: Sending) -> None:
    packets = sending.arriving("video", "rtp")
    sending.video.send([b"x"] * 10, 0)
    sent = [await packets.get() for _ in range(10)]
    everything = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=0, media_ssrc=sent[0].ssrc)
    everything.lost = [packet.sequence_number for packet in sent] * 20
    for _ in range(5):
        await sending.video.handle_rtcp(everything)
    sending.video.send([b"last"], 3600)
    again = 0
    while (await packets.get()).payload != b"last":
        again += 1
    assert again == 20


async def test_a_request_for_a_keyframe_is_passed_on(sending: Sending) -> None:
    packets = sending.arriving("video", "rtp")
    sending.video.send([b"x"], 0)
    ssrc = (await packets.get()).ssrc
    assert sending.keyframes.empty()
    await sending.browser.receiver("video")._send_rtcp_pli(ssrc)
    await sending.keyframes.get()


async def test_the_receivers_estimate_is_known_once_it_was_sent_and_never_before(sending: Sending) -> None:
    packets = sending.arriving("video", "rtp")
    sending.video.send([b"x"], 0)
    ssrc = (await packets.get()).ssrc
    assert sending.video.bandwidth_estimate is None
    receiver = sending.browser.receiver("video")
    for fci in (pack_remb_fci(96_000, [ssrc]), pack_remb_fci(12_000, [ssrc ^ 1]), b"XXXX1234"):
        await receiver._send_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
    await receiver._send_rtcp_pli(ssrc)  # arrives after them: what was heard by then is looked at
    await sending.keyframes.get()
    assert sending.video.bandwidth_estimate == 96_000


async def test_who_leaves_says_so_and_sends_no_more(sending: Sending) -> None:
    arriving = sending.arriving("audio", "rtcp")
    assert sending.audio.is_open
    await sending.server.close()
    while not isinstance(await arriving.get(), RtcpByePacket):
        pass
    assert not sending.audio.is_open
    sending.audio.send([b"late"], 0)


async def test_what_is_sent_before_the_transport_is_up_goes_nowhere() -> None:
    made = Sending()
    made.audio.send([b"early"], 0)
    assert not made.audio.is_open
    await made.server.close()

"""Sends one track: in the place of aiortc's RTP sender, with its SSRC, negotiation and transport.

A sender report says at one instant what the wall clock and the track's time stamp are. Both tracks count from the same
media clock and compute that instant from it, not from when a packet happened to leave: a receiver that aligns them by
their reports finds them aligned exactly, however late a picture was encoded.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence

from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)

from opentalking.rtc import aiortc_seam as seam
from opentalking.rtc.clock import MediaClock
from opentalking.rtc.rtp import RtpStream, StreamParameters

_REPORT_S = 1.0  # on average; varied by half, so that many sessions do not report in step (RFC 3550 6.2)
_REPEATS = 2  # packets sent again, at most, for each that was sent: a client could ask for the same ones for ever
_MOST_REPEATS = 512  # that much may be saved up
_CNAME_ITEM = 1
_MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
_ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"


class RtpSender:
    """One track on its way. `started` is set when the transport is up."""

    def __init__(
        self, sender: RTCRtpSender, clock: MediaClock, clock_rate: int, on_keyframe_request: Callable[[], None]
    ) -> None:
        self._outlet = seam.Outlet(sender)
        self._clock = clock
        self._clock_rate = clock_rate
        self._on_keyframe_request = on_keyframe_request
        self._stream: RtpStream | None = None
        self._cname = ""
        self._reports: asyncio.Task[None] | None = None
        self._repeats_left = 0
        self.started = asyncio.Event()
        self.bandwidth_estimate: int | None = None  # bit/s, what the receiver last told (REMB)
        seam.take_over(sender, self.start, self.stop, self.handle_rtcp)

    @property
    def is_open(self) -> bool:
        return self._stream is not None and self._outlet.is_open

    def send(self, payloads: Sequence[bytes], timestamp: int) -> None:
        """Send one frame's payloads; `timestamp` in ticks of the clock rate since the clock began. Nothing happens
        before the transport is up and after it is down."""
        if self._stream is None:
            return
        for packet in self._stream.packetise(payloads, timestamp, time.time()):
            if not self._outlet.send_rtp(packet):
                return
            self._repeats_left = min(self._repeats_left + _REPEATS, _MOST_REPEATS)

    def timestamp(self, ticks: int) -> int:
        """The time stamp, as the receiver sees it, of what is sent with these ticks; 0 before the transport is up."""
        return 0 if self._stream is None else self._stream.timestamp(ticks)

    async def start(self, parameters: RTCRtpSendParameters) -> None:
        """aiortc's: the transport is connected."""
        if self._stream is None:
            self._outlet.open(parameters)
            self._stream = RtpStream(_stream_parameters(parameters, self._outlet))
            self._cname = parameters.rtcp.cname or ""
            self._reports = asyncio.create_task(self._report())
            self.started.set()

    async def stop(self) -> None:
        """aiortc's: the connection is being closed."""
        if self._reports is not None:
            self._reports.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reports
            self._reports = None
            self._outlet.send_rtcp(bytes(RtcpByePacket(sources=[self._outlet.ssrc])))
            self._outlet.close()
            self._stream = None

    async def handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        """aiortc's: the receiver reports a loss, wants a keyframe, or tells how much it can take."""
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            self._retransmit(packet.lost)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_FIR, RTCP_PSFB_PLI):
            self._on_keyframe_request()
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            with contextlib.suppress(ValueError):  # another application's packet
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
                if self._outlet.ssrc in ssrcs:
                    self.bandwidth_estimate = bitrate

    def report(self) -> None:
        """Tell the receiver now what wall clock and time stamps are; nothing happens while the transport is down."""
        if self._stream is not None:
            self._outlet.send_rtcp(self._sender_report(self._stream))

    def _retransmit(self, lost: Sequence[int]) -> None:
        for sequence in lost:
            if self._repeats_left == 0:
                return
            packet = self._stream.retransmit(sequence) if self._stream is not None else None
            if packet is not None:
                self._repeats_left -= 1
                if not self._outlet.send_rtp(packet):
                    return

    async def _report(self) -> None:
        while True:
            self.report()
            await asyncio.sleep(_REPORT_S * (0.5 + random.random()))

    def _sender_report(self, stream: RtpStream) -> bytes:
        ssrc = self._outlet.ssrc
        ticks = round(self._clock.elapsed_s() * self._clock_rate)
        info = RtcpSenderInfo(
            ntp_timestamp=seam.ntp_now(),
            rtp_timestamp=stream.timestamp(ticks),
            packet_count=stream.packets & 0xFFFF_FFFF,
            octet_count=stream.octets & 0xFFFF_FFFF,
        )
        source = RtcpSourceInfo(ssrc=ssrc, items=[(_CNAME_ITEM, self._cname.encode())])
        return bytes(RtcpSrPacket(ssrc=ssrc, sender_info=info)) + bytes(RtcpSdesPacket(chunks=[source]))


def _stream_parameters(parameters: RTCRtpSendParameters, outlet: seam.Outlet) -> StreamParameters:
    codec, *others = parameters.codecs
    rtx = (c for c in others if c.name.lower() == "rtx" and c.parameters.get("apt") == codec.payloadType)
    ids = {extension.uri: extension.id for extension in parameters.headerExtensions}
    return StreamParameters(
        ssrc=outlet.ssrc,
        payload_type=codec.payloadType or 0,
        mid=parameters.muxId,
        mid_id=ids.get(_MID, 0),
        abs_send_time_id=ids.get(_ABS_SEND_TIME, 0),
        rtx_ssrc=outlet.rtx_ssrc,
        rtx_payload_type=next((c.payloadType or 0 for c in rtx), 0),
    )

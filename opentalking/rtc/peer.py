"""One browser's connection: answers an offer, sends the two tracks, hears its microphone, reports what becomes of the
transport.

The microphone is the first audio track that the browser offers to send. Whether it does, and when, is its own affair: a
page offers `sendrecv` at once and puts the microphone in when it is allowed to, without a new offer. All other tracks
are received and dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import NoReturn

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket

from opentalking.rtc import aiortc_seam as seam
from opentalking.rtc.clock import MediaClock, Metronome
from opentalking.rtc.microphone import Microphone, MicrophoneSink
from opentalking.rtc.opus import OpusEncoder
from opentalking.rtc.playout import Playout
from opentalking.rtc.sender import RtpSender
from opentalking.rtc.stream import VideoStream
from opentalking.rtc.transmitter import VIDEO_CLOCK_RATE, Transmitter
from opentalking.rtc.video import Codec, VideoEncoder
from opentalking.types import PLAYBACK_RATE

log = logging.getLogger(__name__)

_MIN_VIDEO_BITRATE = 500_000  # while a still face is sent, receivers estimate far less than the network can carry
_BITRATE_PERIOD_S = 2.0
_MIME_TYPES: dict[Codec, str] = {"h264": "video/H264", "vp8": "video/VP8"}


class OfferError(Exception):
    """An offer that cannot be answered; the message says why."""


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """Bitrates in bit/s, interval in seconds. The metronome is shared by all peers of a process."""

    preferred_codec: Codec
    video_bitrate: int
    audio_bitrate: int
    keyframe_min_interval_s: float
    ice_servers: tuple[RTCIceServer, ...] = ()
    public_address: str = ""
    metronome: Metronome = field(default_factory=Metronome)


def choose_codec(offer_sdp: str, preferred: Codec) -> Codec:
    """The preferred codec if the offer has it, else the other. Raises OfferError if it has neither."""
    try:
        common = seam.common_video_codecs(offer_sdp)
    except Exception as error:  # aiortc raises ValueError, AssertionError, … from its SDP parser
        raise OfferError(f"the offer cannot be used: {error}") from error
    codecs: tuple[Codec, ...] = (preferred, "h264", "vp8")
    for codec in codecs:
        if _MIME_TYPES[codec] in common:
            return codec
    raise OfferError("the offer contains neither H.264 (baseline) nor VP8 video")


def _drop(packet: RtpPacket) -> None:
    """Nobody listens to that track."""


class _Track(MediaStreamTrack):
    """What aiortc negotiates; our own sender sends, so nobody reads from it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    async def recv(self) -> NoReturn:
        raise MediaStreamError


class Peer:
    """A connected (or connecting) browser. `on_state` gets connecting, connected, disconnected, closed; `sink` what its
    microphone hears."""

    def __init__(
        self, options: PeerOptions, on_state: Callable[[str], None], sink: MicrophoneSink | None = None
    ) -> None:
        self._options = options
        self._on_state = on_state
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=list(options.ice_servers)))
        self._sink = sink
        self._tasks: list[asyncio.Task[None]] = []
        self.codec: Codec | None = None
        self.clock = MediaClock(sleep=options.metronome.sleep)
        self.transmitter: Transmitter | None = None
        self.microphone: Microphone | None = None

    async def answer(self, offer_sdp: str, playout: Playout, executor: Executor) -> str:
        """Answer an offer with one audio and one video track. Raises OfferError."""
        options = self._options
        self.codec = choose_codec(offer_sdp, options.preferred_codec)
        if "m=audio" not in offer_sdp:
            raise OfferError("the offer has no audio section: the sound carries the clock of the session")
        encoder = VideoEncoder(self.codec, options.video_bitrate)
        stream = VideoStream(encoder, options.keyframe_min_interval_s)
        connection = self._connection
        connection.on("connectionstatechange", self._state_changed)
        connection.on("track", self._track_offered)
        audio = self._sender("audio", PLAYBACK_RATE, lambda: None)
        video = self._sender("video", VIDEO_CLOCK_RATE, stream.request_keyframe)
        opus = OpusEncoder(options.audio_bitrate)
        self.transmitter = Transmitter(self.clock, playout, opus, stream, audio, video, executor)
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer_sdp, "offer"))
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # aiortc raises ValueError, AssertionError, … from its SDP parser
            raise OfferError(f"the offer cannot be used: {error}") from error
        self._tasks = [asyncio.create_task(self._transmit()), asyncio.create_task(self._adapt(video, stream))]
        return seam.announce_address(connection.localDescription.sdp, options.public_address)

    def _track_offered(self, track: MediaStreamTrack) -> None:
        heard: Callable[[RtpPacket], None] = _drop
        if track.kind == "audio" and self.microphone is None and self._sink is not None:
            self.microphone = Microphone(self._sink)
            heard = self.microphone.receive
        receiver = next(r for r in self._connection.getReceivers() if r.track is track)
        seam.tap(receiver, heard)

    def _sender(self, kind: str, clock_rate: int, on_keyframe_request: Callable[[], None]) -> RtpSender:
        """A track of ours in the connection."""
        sender = self._connection.addTrack(_Track(kind))
        assert self.codec is not None
        self._prefer(sender, ("audio/opus",) if kind == "audio" else (_MIME_TYPES[self.codec], "video/rtx"))
        return RtpSender(sender, self.clock, clock_rate, on_keyframe_request)

    async def _transmit(self) -> None:
        assert self.transmitter is not None
        try:
            await self.transmitter.run()
        except Exception:
            log.exception("sending failed; the connection is given up")
            self._on_state("closed")

    def _prefer(self, sender: RTCRtpSender, mime_types: Sequence[str]) -> None:
        """Fix the codec before the offer is applied: afterwards aiortc ignores preferences."""
        for transceiver in self._connection.getTransceivers():
            if transceiver.sender is sender:
                capabilities = RTCRtpSender.getCapabilities(transceiver.kind).codecs
                transceiver.setCodecPreferences([c for c in capabilities if c.mimeType in mime_types])

    async def _adapt(self, video: RtpSender, stream: VideoStream) -> None:
        """Follow the receiver's bandwidth estimate downwards, never above the setting."""
        before = None
        while True:
            await asyncio.sleep(_BITRATE_PERIOD_S)
            estimate = video.bandwidth_estimate
            if estimate is not None and estimate != before:
                before = estimate
                stream.set_bitrate(min(self._options.video_bitrate, max(_MIN_VIDEO_BITRATE, estimate)))

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state in ("connecting", "connected", "disconnected"):
            self._on_state("closed" if seam.transport_closed(self._connection) else state)
        elif state in ("failed", "closed"):
            self._on_state("closed")

    async def close(self) -> None:
        """End the connection and its tasks; the playout stays for the next peer."""
        self._connection.remove_all_listeners()
        for task in self._tasks:
            task.cancel()
        if self.microphone is not None:
            self.microphone.close()
        await self._connection.close()
        self._tasks.clear()
        if self.transmitter is not None:
            self.transmitter.stream.close()  # megabytes; what aiortc ties in cycles waits for the garbage collector
            self.transmitter = None

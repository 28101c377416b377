"""The browser's microphone: its RTP packets in, 16 kHz PCM out, in the event loop and without a packet's delay.

    packets    1    2    4    3    5    8    9    10      as they arrive
    in order   1    2         3 4  5         8 9  10      a missing one is waited for until there are two after it
    sample     0   320       640  1280     2240           6 and 7 show as a gap of 640 samples

Sound comes as packets come: a microphone that is switched off, or an encoder that sends no silence (DTX), sends none.
`sample` follows the time stamps of the packets, so that whoever listens sees how much is missing. Of a pause they say
nothing: Chromium's stand still, others leap; a leap, or another stream, shows as a gap of one second.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

import numpy as np
from aiortc.rtp import RtpPacket
from av import AudioFrame
from av.error import BlockingIOError as NothingYet
from av.error import FFmpegError

from opentalking.resampling import resampling
from opentalking.rtc.opus import OpusDecoder
from opentalking.types import MODEL_RATE, PLAYBACK_RATE, Int16

_PATIENCE = 1  # packets that wait for a missing one: 20 ms, and only when one is missing
_MOST_MISORDERED = 100  # packets; one that is further behind belongs to a numbering of its own, as in aiortc
_LONGEST_GAP = PLAYBACK_RATE  # samples; what seems to be longer is a pause
_RATIO = PLAYBACK_RATE // MODEL_RATE
_UINT16, _UINT32 = 0xFFFF, 0xFFFF_FFFF


class MicrophoneSink(Protocol):
    """Who hears it. Called in the media loop: it must not wait."""

    def heard(self, sample: int, pcm: Int16) -> None:
        """int16 (samples,) at 16 kHz; the first of them is the microphone's `sample`-th, from 0."""

    def ended(self) -> None:
        """The connection is over. Nothing comes after it."""


class InOrder:
    """One stream's packets by their sequence numbers: each once, none for long."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, RtpPacket] = {}

    def put(self, packet: RtpPacket) -> list[RtpPacket]:
        """The packets whose turn has come with this one. One that comes too late is dropped."""
        number = packet.sequence_number
        if self._next is None:
            self._next = number
        behind = (self._next - number) & _UINT16
        if 0 < behind <= _MOST_MISORDERED:
            return []
        self._held[number] = packet
        if len(self._held) > _PATIENCE:
            self._next = min(self._held, key=self._ahead)
        ready = []
        while (found := self._held.pop(self._next, None)) is not None:
            ready.append(found)
            self._next = (self._next + 1) & _UINT16
        return ready

    def _ahead(self, number: int) -> int:
        assert self._next is not None
        return (number - self._next) & _UINT16


class _Decoder:
    """Opus in, 16 kHz out."""

    def __init__(self) -> None:
        self._opus = OpusDecoder()
        self._graph = resampling(PLAYBACK_RATE, MODEL_RATE)

    def decode(self, payload: bytes) -> tuple[int, Int16]:
        """How many samples at 48 kHz it was, and as much at 16 kHz as that completes. Raises FFmpegError."""
        frames = self._opus.decode(payload)
        for frame in frames:
            self._graph.push(frame)
        made: list[Int16] = []
        with suppress(NothingYet):
            while True:
                out = self._graph.pull()
                assert isinstance(out, AudioFrame)
                made.append(out.to_ndarray()[0])
        return sum(frame.samples for frame in frames), np.concatenate(made) if made else np.zeros(0, np.int16)


class Microphone:
    """One connection's microphone. A stream that replaces another (SSRC) goes on where that one stopped."""

    def __init__(self, sink: MicrophoneSink) -> None:
        self._sink: MicrophoneSink | None = sink
        self._decoder: _Decoder | None = None  # a browser may never send sound
        self._ssrc: int | None = None
        self._order = InOrder()
        self._due: int | None = None  # time stamp that the next packet has if nothing is missing
        self._sample = 0
        self.lost_ms = 0.0  # of packets that never came, or not in time, or were not Opus

    def receive(self, packet: RtpPacket) -> None:
        """One packet as it arrives; nothing happens after `close`."""
        if self._sink is None:
            return
        if packet.ssrc != self._ssrc:
            self._ssrc, self._order, self._due = packet.ssrc, InOrder(), None
        for ready in self._order.put(packet):
            self._play(ready)

    def close(self) -> None:
        """The connection is over."""
        sink, self._sink, self._decoder = self._sink, None, None
        if sink is not None:
            sink.ended()

    def _play(self, packet: RtpPacket) -> None:
        if not packet.payload:  # a probe of the bandwidth
            return
        assert self._sink is not None
        if self._decoder is None:
            self._decoder = _Decoder()
        try:
            samples, pcm = self._decoder.decode(packet.payload)
        except FFmpegError:
            return  # the next one shows the gap
        self._skip_to(packet.timestamp)
        self._due = (packet.timestamp + samples) & _UINT32
        self._sink.heard(self._sample, pcm)
        self._sample += len(pcm)

    def _skip_to(self, timestamp: int) -> None:
        """Leave a gap of what is missing before this packet."""
        if self._due is None:
            missing = _LONGEST_GAP if self._sample else 0
        else:
            missing = min((timestamp - self._due) & _UINT32, _LONGEST_GAP)  # a step back looks like a leap
        if missing < _LONGEST_GAP:
            self.lost_ms += missing * 1000 / PLAYBACK_RATE
        self._sample += missing // _RATIO

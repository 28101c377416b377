"""A client that speaks: its connection sends a microphone, in real time, as a browser would.

    say(pcm)        ┌ started_at                       ┌ ended_at
    sent     ·······████████████████████████████████████····························   packets of 20 ms
             └ comfort noise                            └ comfort noise, for as long as nobody speaks

A packet is handed to aiortc when its 20 ms are over, by absolute deadlines: an event loop that was late sends the next
ones sooner, and the speech is not stretched. What is said outlives the connection: after a reload the rest follows.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray
from scipy.signal import resample_poly

from .client import Client, Receiver
from .spoken import RATE as SPOKEN_RATE
from .spoken import speech_span

RATE = 48_000
PACKET = RATE * 20 // 1000
COMFORT = 3  # amplitude of what a silent microphone sends
LOUD = 1000  # a peak of what is heard that is no silence


@dataclass
class _Utterance:
    """`first` and `last`: its first and last sample that is no silence; how far it has been sent."""

    pcm: NDArray[np.int16]
    first: int
    last: int
    over: asyncio.Future[tuple[float, float]]
    sent: int = 0
    started_at: float = 0.0


class Microphone:
    """What a person says, whatever it is sent by. Utterances follow each other in the order in which they came."""

    def __init__(self, seed: int = 0) -> None:
        self._noise = np.random.default_rng(seed)
        self._queue: deque[_Utterance] = deque()

    async def say(self, pcm: NDArray[np.int16], rate: int = SPOKEN_RATE) -> tuple[float, float]:
        """When the packets with the first and the last sample that is no silence were handed over, Unix time."""
        first, last = speech_span(pcm, rate)
        sound = resample_poly(pcm.astype(np.float64), RATE, rate).clip(-32768, 32767).astype(np.int16)
        scale = RATE / rate
        over = asyncio.get_running_loop().create_future()
        self._queue.append(_Utterance(sound, int(first * scale), int(last * scale), over))
        return await over

    def packet(self) -> NDArray[np.int16]:
        """The next 20 ms; who takes them hands them over now."""
        pcm = self._noise.integers(-COMFORT, COMFORT, PACKET, np.int16, endpoint=True)
        while self._queue and self._queue[0].over.cancelled():
            self._queue.popleft()
        if not self._queue:
            return pcm
        utterance, at = self._queue[0], time.time()
        piece = utterance.pcm[utterance.sent : utterance.sent + PACKET]
        pcm[: len(piece)] = piece
        utterance.sent += PACKET
        utterance.started_at = utterance.started_at or (at if utterance.sent > utterance.first else 0.0)
        if utterance.sent > utterance.last and not utterance.over.done():
            utterance.over.set_result((utterance.started_at, at))
        if utterance.sent >= len(utterance.pcm):
            self._queue.popleft()
        return pcm


class MicrophoneTrack(MediaStreamTrack):
    """A microphone as one connection sends it."""

    kind = "audio"

    def __init__(self, microphone: Microphone) -> None:
        super().__init__()
        self._microphone = microphone
        self._packets = 0
        self._began_at = 0.0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._began_at = self._began_at or time.monotonic()
        await asyncio.sleep(max(0.0, self._began_at + (self._packets + 1) * PACKET / RATE - time.monotonic()))
        frame = av.AudioFrame.from_ndarray(self._microphone.packet()[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._packets * PACKET, Fraction(1, RATE)
        self._packets += 1
        return frame


class Speaker(Client):
    """One user with a microphone. `async with Speaker(base) as user: …; started_at, ended_at = await user.say(pcm)`."""

    def __init__(self, base: str, keep_pictures: bool = False) -> None:
        self.microphone = Microphone()
        super().__init__(base, keep_pictures)

    def make_receiver(self, keep_pictures: bool) -> Receiver:
        return Receiver(keep_pictures, microphone=MicrophoneTrack(self.microphone))

    async def say(self, pcm: NDArray[np.int16], rate: int = SPOKEN_RATE) -> tuple[float, float]:
        """When the packets with the first and the last sample that is no silence were handed to aiortc, Unix time."""
        return await self.microphone.say(pcm, rate)

    async def cut_in(self, pcm: NDArray[np.int16], after_ms: float, rate: int = SPOKEN_RATE) -> tuple[float, float]:
        """Say it when so much of the avatar's next sound has been heard."""
        begins = len(self.receiver.sound)
        await self.receiver.until(lambda: 20 * self._loud_packets(begins) > after_ms)
        return await self.say(pcm, rate)

    def _loud_packets(self, since: int) -> int:
        return sum(int(np.abs(pcm).max(initial=0)) > LOUD for _, pcm in self.receiver.sound[since:])

"""Sound and pictures on their way out, with a real encoder that is held up at will."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from opentalking.rtc.clock import MediaClock
from opentalking.rtc.idle import Face
from opentalking.rtc.opus import OpusEncoder
from opentalking.rtc.playout import Picture, Playout
from opentalking.rtc.stream import VideoStream
from opentalking.rtc.transmitter import Transmitter
from opentalking.rtc.video import VideoEncoder
from opentalking.types import PACKET_SAMPLES
from tests.unit.rtc.stage import Observer, Source, moving_face, turn_of

VIDEO_TICKS = 3600  # of a picture


class Track:
    """In the place of an RtpSender: keeps what is sent. It is open for so many frames."""

    def __init__(self, frames: int) -> None:
        self.started = asyncio.Event()
        self.started.set()
        self.more = asyncio.Event()
        self.sent: list[tuple[int, list[bytes]]] = []
        self._frames = frames

    @property
    def is_open(self) -> bool:
        return len(self.sent) < self._frames

    def send(self, payloads: Any, timestamp: int) -> None:
        self.sent.append((timestamp, list(payloads)))
        self.more.set()

    def report(self) -> None: ...

    def timestamp(self, ticks: int) -> int:
        return ticks + 7

    @property
    def stamps(self) -> list[int]:
        return [stamp for stamp, _ in self.sent]


class Transmission:
    """A transmitter with everything around it; `gate` holds up the encoder while it is not set."""

    def __init__(self, executor: ThreadPoolExecutor, packets: int) -> None:
        self.now_s = 50.0
        self.clip = moving_face(60)
        self.source = Source()
        self.playout = Playout(self.source, Observer(), Face(self.clip), 1)
        self.encoder = VideoEncoder("h264", 1_000_000)
        self.gate = threading.Event()
        self.gate.set()
        encode = self.encoder.encode

        def gated(pixels: Any, keyframe: bool = False) -> tuple[bytes, bool]:
            self.gate.wait()
            return encode(pixels, keyframe)

        self.encoder.encode = gated  # type: ignore[method-assign]
        self.stream = VideoStream(self.encoder, 0.3)
        self.audio, self.video = Track(packets), Track(10**9)
        clock = MediaClock(lambda: self.now_s, self._sleep)
        senders: Any = (self.audio, self.video)
        self.transmitter = Transmitter(clock, self.playout, OpusEncoder(32_000), self.stream, *senders, executor)

    async def _sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)

    async def pictures(self, count: int) -> None:
        """Until so many have left."""
        async with asyncio.timeout(20):
            while len(self.video.sent) < count:
                self.video.more.clear()
                await self.video.more.wait()


@pytest.fixture
async def executor() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


async def test_every_packet_of_sound_leaves_with_its_time_and_every_second_one_brings_a_picture(
    executor: ThreadPoolExecutor,
) -> None:
    transmission = Transmission(executor, packets=6)
    await transmission.transmitter.run()
    await transmission.pictures(3)
    assert transmission.audio.stamps == [n * PACKET_SAMPLES for n in range(6)]
    assert transmission.video.stamps == [n * VIDEO_TICKS for n in range(3)]
    assert transmission.transmitter.dropped == 0


async def test_the_sound_does_not_wait_for_an_encoder_that_is_held_up_and_no_picture_is_lost_within_120_ms(
    executor: ThreadPoolExecutor,
) -> None:
    transmission = Transmission(executor, packets=8)
    transmission.gate.clear()
    await transmission.transmitter.run()
    assert len(transmission.audio.sent) == 8 and not transmission.video.sent
    transmission.gate.set()
    await transmission.pictures(4)
    assert transmission.video.stamps == [n * VIDEO_TICKS for n in range(4)]
    assert transmission.transmitter.dropped == 0


async def test_pictures_that_are_later_than_that_give_way_to_the_next_in_order(executor: ThreadPoolExecutor) -> None:
    transmission = Transmission(executor, packets=20)
    transmission.gate.clear()
    await transmission.transmitter.run()
    transmission.gate.set()
    await transmission.pictures(4)
    assert transmission.video.stamps == [n * VIDEO_TICKS for n in (0, 7, 8, 9)]
    assert transmission.transmitter.dropped == 6


async def test_a_picture_that_waited_is_what_it_was_when_it_was_due(executor: ThreadPoolExecutor) -> None:
    transmission = Transmission(executor, packets=8)
    encoded: list[np.ndarray] = []
    encode = transmission.stream.encode

    def kept(picture: Picture) -> bytes:
        transmission.gate.wait()
        assert picture.pixels is not None
        encoded.append(picture.pixels.copy())
        return encode(picture)

    transmission.stream.encode = kept  # type: ignore[method-assign]
    for shade, slot in enumerate(turn_of(1, 4)):
        pixels = np.full(transmission.clip.shape[1:], 100 + shade, np.uint8)
        transmission.source.slots.append(type(slot)(1, slot.info, slot.pose, slot.pcm, pixels))
    transmission.gate.clear()
    await transmission.transmitter.run()
    transmission.gate.set()
    await transmission.pictures(4)
    assert [int(pixels[0, 0]) for pixels in encoded] == [100, 101, 102, 103]


async def test_an_encoder_that_fails_ends_the_transmission_with_its_error(executor: ThreadPoolExecutor) -> None:
    transmission = Transmission(executor, packets=10**6)

    def broken(pixels: Any, keyframe: bool = False) -> tuple[bytes, bool]:
        raise ValueError("no encoder today")

    transmission.encoder.encode = broken  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="no encoder today"):
        await asyncio.wait_for(transmission.transmitter.run(), 20)

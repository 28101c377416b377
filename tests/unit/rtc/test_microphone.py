"""A browser's microphone: order, gaps, streams that change, and sound that is still itself at 16 kHz."""

from __future__ import annotations

import random
from fractions import Fraction

import av
import numpy as np
import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from opentalking.rtc.microphone import InOrder, Microphone
from opentalking.types import MODEL_RATE, PLAYBACK_RATE, Int16
from tests.unit.rtc.decoding import decode_sound
from tests.unit.rtc.test_opus import likeness, voice_like

PACKET = 960  # samples at 48 kHz
SSRC = 77


class Heard:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, Int16]] = []
        self.endings = 0

    def heard(self, sample: int, pcm: Int16) -> None:
        assert not self.endings
        self.parts.append((sample, pcm))

    def ended(self) -> None:
        self.endings += 1

    @property
    def sound(self) -> Int16:
        return np.concatenate([pcm for _, pcm in self.parts])

    def gaps(self) -> list[int]:
        """Samples that are missing between one part and the next, where any are."""
        ends = [sample + len(pcm) for sample, pcm in self.parts]
        between = [start - end for end, (start, _) in zip(ends, self.parts[1:], strict=False)]
        return [gap for gap in between if gap]


def opus(pcm: Int16, packet_ms: int = 20, layout: str = "mono") -> list[bytes]:
    """As a browser's encoder makes them."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = PLAYBACK_RATE, layout, "s16"
    context.time_base, context.bit_rate = Fraction(1, PLAYBACK_RATE), 32_000
    context.options = {"application": "voip", "frame_duration": str(packet_ms)}
    context.open()
    size, channels = PLAYBACK_RATE * packet_ms // 1000, {"mono": 1, "stereo": 2}[layout]
    made: list[bytes] = []
    for at in range(0, len(pcm) // size * size, size):
        frame = av.AudioFrame.from_ndarray(np.repeat(pcm[at : at + size], channels)[None, :], "s16", layout)
        frame.sample_rate, frame.pts, frame.time_base = PLAYBACK_RATE, at, context.time_base
        made += [bytes(packet) for packet in context.encode(frame)]
    return made


def at_48_khz(pcm: Int16) -> Int16:
    return np.interp(np.arange(len(pcm) * 3) / 3, np.arange(len(pcm)), pcm).astype(np.int16)


def rtp(number: int, payload: bytes = b"", timestamp: int | None = None, ssrc: int = SSRC) -> RtpPacket:
    stamp = (number * PACKET if timestamp is None else timestamp) % 2**32
    return RtpPacket(sequence_number=number % 2**16, timestamp=stamp, ssrc=ssrc, payload=payload)


VOICE = voice_like(2.0)
PACKETS = opus(VOICE)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def microphone(heard: Heard) -> Microphone:
    return Microphone(heard)


@pytest.mark.parametrize(("packet_ms", "layout"), [(10, "mono"), (20, "mono"), (20, "stereo"), (60, "mono")])
def test_a_voice_is_at_16_khz_what_it_is_at_48(
    heard: Heard, microphone: Microphone, packet_ms: int, layout: str
) -> None:
    packets = opus(VOICE, packet_ms, layout)
    for number, payload in enumerate(packets):
        microphone.receive(rtp(number, payload, number * packet_ms * 48))
    whole = decode_sound(packets)
    assert heard.gaps() == []
    assert len(whole) // 3 - 32 <= len(heard.sound) <= len(whole) // 3  # but for what the resampler still holds
    assert likeness(whole, at_48_khz(heard.sound)) > 0.999


def test_each_packet_is_heard_as_it_comes_with_its_place_on_the_track(heard: Heard, microphone: Microphone) -> None:
    for number, payload in enumerate(PACKETS[:50]):
        microphone.receive(rtp(number, payload))
        assert len(heard.parts) == number + 1
    assert heard.parts[0][0] == 0
    assert {len(pcm) for _, pcm in heard.parts[1:]} == {320}


def test_numbers_and_time_stamps_may_wrap_around(heard: Heard, microphone: Microphone) -> None:
    for number, payload in enumerate(PACKETS[:40]):
        microphone.receive(rtp(2**16 - 20 + number, payload, 2**32 - 20 * PACKET + number * PACKET))
    assert len(heard.parts) == 40 and heard.gaps() == []


def test_what_was_lost_shows_as_a_gap_and_what_follows_it_is_not_held_back(
    heard: Heard, microphone: Microphone
) -> None:
    for number in (0, 1, 2, 6, 7, 8):
        microphone.receive(rtp(number, PACKETS[number]))
    assert len(heard.parts) == 6
    assert heard.gaps() == [3 * 320]
    assert microphone.lost_ms == 60


@pytest.mark.parametrize(
    "leap", [PLAYBACK_RATE, 600 * PLAYBACK_RATE, -1, -5 * PACKET], ids=["1 s", "10 min", "back", "further back"]
)
def test_across_a_pause_the_time_stamps_are_not_believed(heard: Heard, microphone: Microphone, leap: int) -> None:
    for number, payload in enumerate(PACKETS[:20]):
        microphone.receive(rtp(number, payload, number * PACKET + (leap if number >= 10 else 0)))
    assert len(heard.parts) == 20
    assert heard.gaps() == [MODEL_RATE]
    assert microphone.lost_ms == 0


def test_another_stream_goes_on_after_the_first(heard: Heard, microphone: Microphone) -> None:
    for number, payload in enumerate(PACKETS[:20]):
        stream = number // 10
        microphone.receive(rtp(number + stream * 30_000, payload, number * PACKET + stream * 999, SSRC + stream))
    assert len(heard.parts) == 20
    assert heard.gaps() == [MODEL_RATE]


@pytest.mark.parametrize("rubbish", [b"", b"\xff\x00" * 40, bytes(range(200))])
def test_what_is_not_opus_is_dropped_and_the_rest_is_heard(
    heard: Heard, microphone: Microphone, rubbish: bytes
) -> None:
    for number, payload in enumerate(PACKETS[:10]):
        microphone.receive(rtp(number, rubbish if number == 5 else payload))
    assert len(heard.parts) >= 9
    assert heard.parts[-1][0] + len(heard.parts[-1][1]) <= 10 * 320
    assert heard.sound.size > 8 * 320


def test_random_bytes_do_no_harm(heard: Heard, microphone: Microphone) -> None:
    dice = random.Random(1)
    for number in range(2000):
        microphone.receive(rtp(number, dice.randbytes(dice.randrange(1, 300))))
    microphone.close()
    assert heard.endings == 1


def test_after_its_end_nothing_is_heard_and_it_ends_once(heard: Heard, microphone: Microphone) -> None:
    microphone.receive(rtp(0, PACKETS[0]))
    microphone.close()
    microphone.receive(rtp(1, PACKETS[1]))
    microphone.close()
    assert (len(heard.parts), heard.endings) == (1, 1)


@given(first=st.integers(0, 2**16 - 1), data=st.data())
def test_neighbours_that_changed_places_are_put_right_without_a_loss(first: int, data: st.DataObject) -> None:
    count = 40
    numbers = list(range(count))
    at = 1
    while at < count - 1:
        if data.draw(st.booleans()):
            numbers[at], numbers[at + 1] = numbers[at + 1], numbers[at]
            at += 1
        at += 1
    order = InOrder()
    ready = [packet.sequence_number for number in numbers for packet in order.put(rtp(first + number))]
    assert ready == [(first + number) % 2**16 for number in range(count)]


@given(
    first=st.integers(0, 2**16 - 1),
    numbers=st.lists(st.integers(0, 80), min_size=1, max_size=120),
)
def test_whatever_arrives_is_given_once_and_in_order_and_at_most_one_waits(first: int, numbers: list[int]) -> None:
    order, given_out, seen = InOrder(), [], set[int]()
    for number in [0, *numbers]:
        ready = [(packet.sequence_number - first) % 2**16 for packet in order.put(rtp(first + number))]
        seen.add(number)
        given_out += ready
        newer = {other for other in seen if other > given_out[-1]}
        assert len(newer) <= 1
    assert given_out == sorted(set(given_out))


def test_a_numbering_that_starts_anew_is_followed() -> None:
    order = InOrder()
    numbers = [*range(30_000, 30_010), *range(5, 15)]
    ready = [packet.sequence_number for number in numbers for packet in order.put(rtp(number))]
    assert ready == numbers

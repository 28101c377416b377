"""What browsers' microphones put into a session's track ring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from opentalking.slots import TRACK_SAMPLES, MicFlags, TrackPacket, unpack_track
from opentalking.types import Int16
from shm import Consumer
from workers import links
from workers.open_microphone import OpenMicrophone


def sound(samples: int = 320, level: int = 7) -> Int16:
    return np.full(samples, level, np.int16)


def taken(ring: Consumer) -> list[TrackPacket]:
    """All that waits, with copies of the PCM."""
    packets = []
    while (slot := ring.front()) is not None:
        packet = unpack_track(slot.payload)
        packets.append(TrackPacket(packet.track, packet.flags, packet.sample, packet.pcm.copy()))
        ring.advance()
    return packets


@pytest.fixture
def microphone(tmp_path: Path) -> Iterator[OpenMicrophone]:
    made = OpenMicrophone(tmp_path)
    yield made
    made.close()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Consumer]:
    made = links.track_consumer(tmp_path)
    yield made
    made.close()


def test_a_track_begins_with_start_and_ends_with_end(microphone: OpenMicrophone, ring: Consumer) -> None:
    connection = microphone.connection()
    for n in range(3):
        connection.heard(320 * n, sound(level=n))
    connection.ended()
    connection.ended()
    packets = taken(ring)
    assert [packet.flags for packet in packets] == [MicFlags.START, MicFlags.NONE, MicFlags.NONE, MicFlags.END]
    assert [packet.sample for packet in packets] == [0, 320, 640, 960]
    assert len({packet.track for packet in packets}) == 1
    assert [packet.pcm.tolist() for packet in packets] == [[0] * 320, [1] * 320, [2] * 320, []]


def test_nothing_is_attached_before_a_browser_sends_sound(microphone: OpenMicrophone, tmp_path: Path) -> None:
    connection = microphone.connection()
    connection.ended()
    assert list(tmp_path.iterdir()) == []


def test_long_packets_go_in_pieces(microphone: OpenMicrophone, ring: Consumer) -> None:
    pcm = np.arange(1_500, dtype=np.int16)
    microphone.connection().heard(100, pcm)
    packets = taken(ring)
    assert [packet.sample for packet in packets] == [100, 100 + TRACK_SAMPLES, 100 + 2 * TRACK_SAMPLES]
    assert np.array_equal(np.concatenate([packet.pcm for packet in packets]), pcm)
    assert [packet.flags for packet in packets] == [MicFlags.START, MicFlags.NONE, MicFlags.NONE]


def test_what_finds_the_ring_full_is_dropped_and_counted_and_shows_as_a_gap(
    microphone: OpenMicrophone, ring: Consumer
) -> None:
    connection = microphone.connection()
    room = links.TRACK_SPEC.slots
    for n in range(room + 5):
        connection.heard(320 * n, sound())
    assert microphone.dropped == 5
    assert len(taken(ring)) == room
    connection.heard(320 * (room + 5), sound())
    (after,) = taken(ring)
    assert (after.sample, after.flags) == (320 * (room + 5), MicFlags.NONE)


def test_the_next_browser_takes_over_and_the_one_before_is_heard_no_more(
    microphone: OpenMicrophone, ring: Consumer
) -> None:
    before, after = microphone.connection(), microphone.connection()
    before.heard(0, sound())
    after.heard(0, sound())
    before.heard(320, sound())
    before.ended()
    after.heard(320, sound())
    packets = taken(ring)
    assert [packet.flags for packet in packets] == [MicFlags.START, MicFlags.END, MicFlags.START, MicFlags.NONE]
    tracks = [packet.track for packet in packets]
    assert tracks[0] == tracks[1] != tracks[2] == tracks[3]


def test_a_browser_that_never_spoke_takes_nothing_over(microphone: OpenMicrophone, ring: Consumer) -> None:
    speaking, silent = microphone.connection(), microphone.connection()
    speaking.heard(0, sound())
    silent.ended()
    speaking.heard(320, sound())
    assert [packet.flags for packet in taken(ring)] == [MicFlags.START, MicFlags.NONE]


def test_a_start_that_found_the_ring_full_comes_with_the_first_packet_that_does_not(
    microphone: OpenMicrophone, ring: Consumer
) -> None:
    first, second = microphone.connection(), microphone.connection()
    for n in range(links.TRACK_SPEC.slots):
        first.heard(320 * n, sound())
    second.heard(0, sound())
    taken(ring)
    second.heard(320, sound())
    (packet,) = taken(ring)
    assert (packet.flags, packet.sample) == (MicFlags.START, 320)


def test_a_successor_takes_the_ring_over_and_another_process_cannot_have_it_meanwhile(
    microphone: OpenMicrophone, ring: Consumer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    microphone.connection().heard(0, sound())
    other = OpenMicrophone(tmp_path)
    connection = other.connection()
    for n in range(3):
        connection.heard(320 * n, sound())
    assert other.dropped == 3
    assert caplog.text.count("nobody hears the microphone") == 1
    microphone.close()
    successor = OpenMicrophone(tmp_path)
    successor.connection().heard(0, sound())
    successor.close()
    flags = [packet.flags for packet in taken(ring)]
    assert flags == [MicFlags.START, MicFlags.END, MicFlags.START, MicFlags.END]

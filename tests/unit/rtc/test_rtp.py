"""The bytes of an RTP stream, read back by aiortc's own parser."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unwrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from opentalking.rtc.rtp import RtpStream, StreamParameters

MID_ID, TIME_ID = 4, 7
VIDEO = StreamParameters(0xCAFE0001, 102, "v0", MID_ID, TIME_ID, rtx_ssrc=0xCAFE0002, rtx_payload_type=103)
PLAIN = StreamParameters(0xCAFE0003, 111)
EXTENSIONS = HeaderExtensionsMap()
EXTENSIONS.configure(
    RTCRtpParameters(
        headerExtensions=[
            RTCRtpHeaderExtensionParameters(MID_ID, "urn:ietf:params:rtp-hdrext:sdes:mid"),
            RTCRtpHeaderExtensionParameters(TIME_ID, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
        ]
    )
)


def parse(packet: bytes) -> RtpPacket:
    return RtpPacket.parse(packet, EXTENSIONS)


def test_a_frames_payloads_become_numbered_packets_of_one_time_with_the_last_one_marked() -> None:
    stream = RtpStream(VIDEO)
    first = [parse(packet) for packet in stream.packetise([b"one", b"two", b"three"], 0, 0.0)]
    (second,) = (parse(packet) for packet in stream.packetise([b"four"], 3600, 0.0))
    assert [packet.payload for packet in (*first, second)] == [b"one", b"two", b"three", b"four"]
    assert [packet.marker for packet in (*first, second)] == [0, 0, 1, 1]
    assert {packet.payload_type for packet in first} == {102}
    assert {packet.ssrc for packet in first} == {VIDEO.ssrc}
    sequences = [packet.sequence_number for packet in (*first, second)]
    assert sequences == list(range(sequences[0], sequences[0] + 4))
    assert {packet.timestamp for packet in first} == {first[0].timestamp}
    assert (second.timestamp - first[0].timestamp) % 2**32 == 3600
    assert (stream.packets, stream.octets) == (4, 15)


@given(mid=st.text("abcdefgh", max_size=16), timed=st.booleans(), payload=st.binary(min_size=1, max_size=1200))
def test_extensions_of_any_size_are_read_back(mid: str, timed: bool, payload: bytes) -> None:
    parameters = replace(VIDEO, mid=mid, abs_send_time_id=TIME_ID if timed else 0)
    (packet,) = map(parse, RtpStream(parameters).packetise([payload], 0, 5.25))
    assert packet.payload == payload
    assert packet.extensions.mid == (mid or None)
    assert packet.extensions.abs_send_time == (int(5.25 * 2**18) if timed else None)


def test_without_extensions_the_header_is_the_bare_twelve_bytes() -> None:
    (packet,) = RtpStream(PLAIN).packetise([b"sound"], 0, 0.0)
    assert len(packet) == 12 + len(b"sound")
    assert parse(packet).payload == b"sound"


def test_the_send_time_wraps_around_after_64_seconds() -> None:
    (packet,) = map(parse, RtpStream(VIDEO).packetise([b"x"], 0, 64.5))
    assert packet.extensions.abs_send_time == 1 << 17


def test_numbers_and_times_wrap_around() -> None:
    stream = RtpStream(PLAIN)
    packets = [parse(stream.packetise([b"x"], ticks, 0.0)[0]) for ticks in range(0, 70_000 * 2**16, 2**16)]
    assert {(b.sequence_number - a.sequence_number) % 2**16 for a, b in pairwise(packets)} == {1}
    assert {(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(packets)} == {2**16}


def test_a_lost_packet_comes_again_in_the_retransmission_stream() -> None:
    stream = RtpStream(VIDEO)
    sent = [parse(packet) for packet in stream.packetise([b"one", b"two"], 90_000, 1.0)]
    again = [stream.retransmit(packet.sequence_number) for packet in sent]
    for original, packet in zip(sent, again, strict=True):
        assert packet is not None
        rtx = parse(packet)
        assert (rtx.ssrc, rtx.payload_type, rtx.extensions.mid) == (VIDEO.rtx_ssrc, 103, "v0")
        recovered = unwrap_rtx(rtx, payload_type=102, ssrc=VIDEO.ssrc)
        assert recovered.payload == original.payload
        assert recovered.sequence_number == original.sequence_number
        assert (recovered.marker, recovered.timestamp) == (original.marker, original.timestamp)
    numbers = [parse(packet).sequence_number for packet in again if packet]
    assert (numbers[1] - numbers[0]) % 2**16 == 1


def test_without_a_retransmission_stream_the_packet_itself_comes_again() -> None:
    stream = RtpStream(PLAIN)
    (packet,) = stream.packetise([b"sound"], 0, 0.0)
    assert stream.retransmit(parse(packet).sequence_number) == packet


@pytest.mark.parametrize("later", [256, 70_000])
def test_a_packet_that_is_too_old_is_not_sent_again_nor_another_in_its_place(later: int) -> None:
    stream = RtpStream(VIDEO)
    (packet,) = stream.packetise([b"old"], 0, 0.0)
    for ticks in range(later):
        stream.packetise([b"new"], ticks, 0.0)
    assert stream.retransmit(parse(packet).sequence_number) is None


def test_a_number_that_was_never_sent_is_not_sent_again() -> None:
    stream = RtpStream(VIDEO)
    (packet,) = stream.packetise([b"x"], 0, 0.0)
    assert stream.retransmit((parse(packet).sequence_number + 1) % 2**16) is None

"""What wraps sound is taken off to the byte, however it was cut on its way."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.tts.base import TTSError
from opentalking.tts.containers import Id3Tag, OggPackets, WavHeader

SOUND = bytes(range(256)) * 2
cuts = st.lists(st.integers(0, 2000), max_size=8)


def pieces(data: bytes, positions: list[int]) -> list[bytes]:
    """The bytes cut at these places; some pieces may be empty, as a network's may."""
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def fed(feed: Callable[[bytes], bytes], data: bytes, positions: list[int]) -> bytes:
    return b"".join(feed(piece) for piece in pieces(data, positions))


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def fmt(kind: int = 1, channels: int = 1, rate: int = 24_000, bits: int = 16) -> bytes:
    block = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits))


def wav(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + b"".join(chunks)


TAGS = chunk(b"LIST", b"INFOISFT\x05\x00\x00\x00Lavf\0")  # odd, so a byte of padding follows
WAVS = {
    "plain": (wav(fmt(), chunk(b"data", SOUND)), 1),
    "tags before and after": (wav(TAGS, fmt(), TAGS, chunk(b"data", SOUND), TAGS), 1),
    "stereo, extensible": (wav(fmt(kind=0xFFFE, channels=2), chunk(b"data", SOUND)), 2),
    **{
        f"size {size:#x}": (wav(fmt(), chunk(b"data", SOUND, size)), 1)
        for size in (0, 1 << 28, 0x7FFFF000, 0x7FFFFFDB, 0x7FFFFFFF, 2**32 - 37, 2**32 - 1)
    },
}


@pytest.mark.parametrize("name", WAVS)
@given(cuts)
def test_a_wav_gives_its_format_and_its_sound_and_nothing_else(name: str, positions: list[int]) -> None:
    data, channels = WAVS[name]
    header = WavHeader()
    assert fed(header.feed, data, positions) == SOUND
    assert header.format == (24_000, channels)
    assert not header.cut


@given(st.integers(1, len(SOUND)), cuts)
def test_a_wav_that_ends_before_its_sound_does_is_cut(missing: int, positions: list[int]) -> None:
    header = WavHeader()
    assert fed(header.feed, WAVS["tags before and after"][0][: -len(TAGS) - missing], positions) == SOUND[:-missing]
    assert header.cut


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<html>nothing is here</html>", "no WAV"),
        (wav(fmt(bits=24), chunk(b"data", SOUND)), "format 1, 24 bit, 1 channels, 24000 Hz"),
        (wav(fmt(kind=3, bits=32), chunk(b"data", SOUND)), "format 3, 32 bit"),
        (wav(fmt(channels=6), chunk(b"data", SOUND)), "6 channels"),
        (wav(fmt(rate=4), chunk(b"data", SOUND)), "4 Hz"),
        (wav(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", SOUND)), "half a format"),
        (wav(chunk(b"data", SOUND)), "does not say its format"),
        (wav(fmt(), chunk(b"junk", b"", 0xFFFFFFFF), b"\0" * (1 << 20)), "without sound"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wav_that_cannot_be_read_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(TTSError, match=why) as caught:
        WavHeader().feed(data)
    assert caught.value.code == "broken"


def id3(size: int) -> bytes:
    """A tag of so many bytes after its own ten."""
    sevens = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + sevens + b"\xff\xfb" * (size // 2) + b"\0" * (size % 2)


@given(st.sampled_from([b"", id3(0), id3(7), id3(300)]), cuts)
def test_a_tag_is_taken_off_an_mp3_wherever_it_is_cut(tag: bytes, positions: list[int]) -> None:
    assert fed(Id3Tag().feed, tag + SOUND, positions) == SOUND


def test_a_tag_is_not_kept_however_much_it_says_it_has() -> None:
    tag, piece = Id3Tag(), bytes(1 << 20)
    tag.feed(id3(1 << 27)[:10])
    tracemalloc.start()
    for _ in range(1 << 7):
        assert tag.feed(piece) == b""
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < len(piece)
    assert tag.feed(SOUND) == SOUND


def test_a_packet_without_end_is_refused() -> None:
    ogg, endless = OggPackets(), page([255] * 255, bytes(255 * 255))
    with pytest.raises(TTSError, match="packet without end") as caught:
        for _ in range(100):
            ogg.feed(endless)
    assert caught.value.code == "broken"


def test_sound_without_a_tag_is_not_waited_for() -> None:
    assert Id3Tag().feed(b"\xff") == b"\xff"
    tag = Id3Tag()
    assert tag.feed(b"I") + tag.feed(b"D") + tag.feed(b"2") == b"ID2"  # not what it looked like


def page(lacing: list[int], body: bytes, last: bool = False) -> bytes:
    return b"OggS\0" + bytes([4 * last]) + bytes(20) + bytes([len(lacing), *lacing]) + body


def pages(packets: list[bytes], segments: int, last: bool = True) -> bytes:
    """Packets in pages of so many segments, RFC 3533: 255 for each that goes on, and one below 255 for its end."""
    lacing = [length for packet in packets for length in (*[255] * (len(packet) // 255), len(packet) % 255)]
    body, data = b"".join(packets), b""
    for start in range(0, len(lacing), segments):
        own = lacing[start : start + segments]
        ends = last and start + segments >= len(lacing)
        data, body = data + page(own, body[: sum(own)], ends), body[sum(own) :]
    return data


@given(st.lists(st.sampled_from([0, 1, 254, 255, 256, 510, 700]), min_size=1, max_size=6), st.integers(1, 5), cuts)
def test_packets_come_out_of_pages_whole_wherever_pages_and_pieces_end(
    lengths: list[int], segments: int, positions: list[int]
) -> None:
    packets = [bytes([number + 65]) * length for number, length in enumerate(lengths)]
    ogg = OggPackets()
    found = [packet for piece in pieces(pages(packets, segments), positions) for packet in ogg.feed(piece)]
    assert found == packets
    assert not ogg.cut


@given(
    st.lists(st.sampled_from([1, 254, 255, 256, 700]), min_size=1, max_size=6), st.integers(1, 5), st.integers(1, 9000)
)
def test_ogg_that_ends_anywhere_before_its_end_is_cut(lengths: list[int], segments: int, missing: int) -> None:
    packets = [bytes([number + 65]) * length for number, length in enumerate(lengths)]
    data, ogg = pages(packets, segments), OggPackets()
    ogg.feed(data[: len(data) - 1 - missing % len(data)])
    assert ogg.cut
    ogg = OggPackets()
    assert ogg.feed(pages(packets, segments, last=False)) == packets
    assert ogg.cut  # at the end of a page that is not the last


def test_a_packet_is_there_before_its_page_is() -> None:
    data = pages([b"first", b"second"], 9)
    ogg = OggPackets()
    assert ogg.feed(data[:-6]) == [b"first"]
    assert ogg.feed(data[-6:]) == [b"second"]


@pytest.mark.parametrize("data", [b"<html>", b"O_", pages([b"whole"], 1) + b"and then none"])
def test_what_is_no_ogg_is_refused(data: bytes) -> None:
    with pytest.raises(TTSError, match="no Ogg") as caught:
        OggPackets().feed(data)
    assert caught.value.code == "broken"

"""Decoding gives the sound that was encoded, all of it, however its bytes come."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Iterable
from contextlib import nullcontext
from itertools import pairwise

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opentalking.tts.base import TTSError
from opentalking.tts.decoding import FORMATS, decode, decoder
from opentalking.types import Int16
from tests.support.voice_servers import encoded, tone

TEXT = "A tone"  # 360 ms
SENT = [
    ("pcm", 24_000),
    ("wav", 16_000),
    ("mp3", 24_000),
    ("mp3", 44_100),
    ("opus", 48_000),
    ("ulaw", 8000),
    ("alaw", 8000),
]


def pcm_of(pieces: Iterable[bytes], audio_format: str, rate: int) -> Int16:
    decoding = decoder(audio_format, rate)
    chunks = [chunk for piece in pieces for chunk in decoding.push(piece)]
    chunks += decoding.finish()
    assert {chunk.sample_rate for chunk in chunks} <= {rate}
    assert all(chunk.data.dtype == np.int16 and chunk.data.ndim == 1 and len(chunk.data) for chunk in chunks)
    return np.concatenate([np.zeros(0, np.int16), *(chunk.data for chunk in chunks)])


def delay(heard: Int16, said: Int16) -> int:
    """Samples by which what was heard is late, by its onset: the tone's first half period above a quarter of it."""
    return int(np.argmax(np.abs(heard.astype(int)) > 2000) - np.argmax(np.abs(said.astype(int)) > 2000))


def stereo(kind: str, left: Int16, right: Int16, rate: int) -> bytes:
    codec, container = {"mp3": ("libmp3lame", "mp3"), "opus": ("libopus", "ogg"), "wav": ("pcm_s16le", "wav")}[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo", options={"b": "128k"})
        frame = av.AudioFrame.from_ndarray(np.stack([left, right], 1).reshape(1, -1), "s16", "stereo")
        frame.sample_rate = rate
        cut = AudioResampler(
            stream.codec_context.format.name, "stereo", rate, frame_size=stream.codec_context.frame_size or 1024
        )
        for piece in [*cut.resample(frame), *cut.resample(None), None]:
            output.mux(stream.encode(piece))
    return file.getvalue()


def test_every_format_is_tried_here() -> None:
    assert {audio_format for audio_format, _ in SENT} == set(FORMATS)


@pytest.mark.parametrize(("audio_format", "rate"), SENT)
@given(positions=st.lists(st.integers(0, 100_000), max_size=12))
@example(positions=list(range(400)))  # byte by byte, as far as every header goes
@settings(deadline=None, max_examples=15)
def test_any_cut_of_the_bytes_gives_the_same_pcm(audio_format: str, rate: int, positions: list[int]) -> None:
    data = encoded(TEXT, audio_format, rate)
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    assert np.array_equal(pcm_of(pieces, audio_format, rate), pcm_of([data], audio_format, rate))


@pytest.mark.parametrize(("audio_format", "rate"), [one for one in SENT if one[0] in ("pcm", "wav")])
def test_bare_samples_are_what_they_were(audio_format: str, rate: int) -> None:
    assert np.array_equal(pcm_of([encoded(TEXT, audio_format, rate)], audio_format, rate), tone(TEXT, rate))


@pytest.mark.parametrize("audio_format", ["ulaw", "alaw"])
def test_telephone_sound_is_as_long_and_as_loud_as_it_was(audio_format: str) -> None:
    heard, said = pcm_of([encoded(TEXT, audio_format, 8000)], audio_format, 8000), tone(TEXT, 8000)
    assert len(heard) == len(said)
    assert np.abs(heard.astype(int) - said).max() < 8000 / 32  # a step of G.711 at this level


def test_opus_begins_with_the_sound_and_not_with_its_pre_skip() -> None:
    heard, said = pcm_of([encoded(TEXT, "opus", 48_000)], "opus", 48_000), tone(TEXT, 48_000)
    assert abs(delay(heard, said)) <= 5
    assert 0 <= len(heard) - len(said) < 48_000 // 50  # what fills the last packet of 20 ms


@pytest.mark.parametrize("rate", [24_000, 44_100])
def test_an_mp3_is_heard_to_its_last_sample(rate: int) -> None:
    heard, said = pcm_of([encoded(TEXT, "mp3", rate)], "mp3", rate), tone(TEXT, rate)
    loud = np.flatnonzero(np.abs(heard.astype(int)) > 4000)
    assert abs((loud[-1] - loud[0]) - len(said)) < rate // 220  # half a period at either end


@pytest.mark.parametrize(("audio_format", "rate"), [("wav", 24_000), ("mp3", 24_000), ("opus", 48_000)])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
async def test_of_a_truncated_fragment_all_that_came_is_heard_and_that_it_is_cut_is_told_where_it_can_be(
    audio_format: str, rate: int, share: float
) -> None:
    data = encoded(TEXT * 3, audio_format, rate)
    whole, heard = pcm_of([data], audio_format, rate), [np.zeros(0, np.int16)]
    with pytest.raises(TTSError, match=r"less of a WAV|Ogg that is cut") if audio_format != "mp3" else nullcontext():
        async for chunk in decode(source(data[: int(len(data) * share)]), audio_format, rate):
            heard.append(chunk.data)
    part = np.concatenate(heard)
    same = len(part) - rate // 20
    assert len(part) > (share - 0.15) * len(whole)
    assert np.array_equal(part[:same], whole[:same])


def test_what_follows_an_mp3_is_not_heard() -> None:
    data = encoded(TEXT, "mp3", 24_000)
    tag = b"TAG" + b"A title".ljust(125, b"\0")
    assert np.array_equal(pcm_of([data, tag], "mp3", 24_000), pcm_of([data], "mp3", 24_000))


def test_half_a_sample_at_the_end_of_a_piece_waits_for_its_other_half() -> None:
    decoding = decoder("pcm", 24_000)
    assert decoding.push(b"\x01") == []
    (chunk,) = decoding.push(b"\x00\x02")
    assert chunk.data.tolist() == [1]
    assert decoding.push(b"") == [] and decoding.finish() == []


@pytest.mark.parametrize(("kind", "rate"), [("wav", 24_000), ("mp3", 44_100), ("opus", 48_000)])
def test_of_two_channels_the_mean_is_heard(kind: str, rate: int) -> None:
    said = tone(TEXT, rate)
    heard = pcm_of([stereo(kind, said, np.zeros_like(said), rate)], kind, rate)
    peaks = np.abs(heard[len(heard) // 4 : len(heard) // 2].astype(int))
    assert peaks.max() == pytest.approx(4000, rel=0.08)


def test_full_scale_does_not_wrap() -> None:
    loud = np.array([[32_767, 32_767], [-32_768, -32_768]], "<i2")
    header = encoded(TEXT, "wav", 16_000)[:22] + b"\x02" + encoded(TEXT, "wav", 16_000)[23:]
    data = header[: header.index(b"data") + 4] + b"\xff" * 4 + loud.tobytes()
    assert pcm_of([data], "wav", 16_000).tolist() == [32_767, -32_768]


GARBAGE = b"<html><body>502 Bad Gateway</body></html>" * 200


async def source(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("audio_format", ["wav", "mp3", "opus"])
@pytest.mark.parametrize(
    "garbage", [GARBAGE, b"", b"\0" * 5000, bytes(range(256)) * 20], ids=["html", "nothing", "zeros", "bytes"]
)
async def test_what_is_no_sound_is_told_as_broken(audio_format: str, garbage: bytes) -> None:
    with pytest.raises(TTSError) as caught:
        _ = [chunk async for chunk in decode(source(garbage), audio_format, 24_000)]
    assert caught.value.code == "broken"


async def test_an_ogg_of_another_codec_is_no_sound() -> None:
    vorbis = encoded(TEXT, "opus", 48_000).replace(b"OpusHead", b"\x01vorbis\0")
    with pytest.raises(TTSError, match="no Opus"):
        _ = [chunk async for chunk in decode(source(vorbis), "opus", 48_000)]


def test_an_empty_opus_packet_is_silence_of_the_encoder_and_not_the_end() -> None:
    whole = encoded(TEXT, "opus", 48_000)
    first_page_of_sound = [at for at in range(len(whole)) if whole.startswith(b"OggS", at)][2]
    empty = b"OggS" + bytes(22) + bytes([1, 0])
    with_empty = [whole[:first_page_of_sound], empty, whole[first_page_of_sound:]]
    np.testing.assert_array_equal(pcm_of(with_empty, "opus", 48_000), pcm_of([whole], "opus", 48_000))


@pytest.mark.parametrize("audio_format", ["mp3", "opus"])
async def test_what_turns_into_no_sound_on_the_way_is_told_after_what_was_heard(audio_format: str) -> None:
    data = encoded(TEXT, audio_format, 48_000)
    heard = 0
    with pytest.raises(TTSError) as caught:
        async for chunk in decode(source(data, *[b"\xff\xfb\x94\x00" + b"\xff" * 380] * 40), audio_format, 48_000):
            heard += len(chunk.data)
    assert caught.value.code == "broken" and heard > 10_000


async def test_who_stops_listening_closes_the_source() -> None:
    pieces = source(*[bytes(960)] * 9)
    chunks = decode(pieces, "pcm", 24_000)
    await anext(chunks)
    await chunks.aclose()
    assert pieces.ag_frame is None


def test_a_format_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(TTSError, match="cannot decode 'flac'; known: pcm, wav"):
        decoder("flac", 24_000)

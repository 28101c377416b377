"""The video encoders: keyframes when asked for, no delay, decodable by a real decoder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import av.error
import numpy as np
import pytest

from opentalking.rtc.video import Codec, VideoEncoder
from opentalking.types import FPS
from tests.unit.rtc.decoding import VideoDecoder
from tests.unit.rtc.stage import moving_face, psnr

SIZE = 160
CODECS: tuple[Codec, ...] = ("h264", "vp8")
GOOD_DB = 28.0


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    chosen: Codec = request.param
    return chosen


def encoder_of(codec: Codec, bitrate: int = 1_000_000) -> VideoEncoder:
    return VideoEncoder(codec, bitrate)


def test_every_picture_comes_out_at_once_and_looks_like_what_went_in(codec: Codec) -> None:
    encoder, decoder = encoder_of(codec), VideoDecoder(codec)
    for frame in moving_face(25):
        unit, _ = encoder.encode(frame)
        assert psnr(decoder.decode(unit), frame) > GOOD_DB


@pytest.mark.parametrize(("width", "height"), [(148, 150), (150, 148), (160, 192)])
def test_pictures_of_any_even_size_keep_their_colours(codec: Codec, width: int, height: int) -> None:
    colours = np.linspace(40, 220, height * width, dtype=np.uint8)
    picture = np.concatenate([colours, colours[::4], colours[::-4]]).reshape(height * 3 // 2, width)
    encoder, decoder = encoder_of(codec), VideoDecoder(codec)
    encoder.encode(moving_face(1)[0])  # of another size
    unit, is_key = encoder.encode(picture)
    seen = decoder.decode(unit)
    assert is_key and seen.shape == picture.shape
    assert psnr(seen, picture) > GOOD_DB


def test_keyframes_are_the_first_picture_and_those_asked_for_and_no_others(codec: Codec) -> None:
    encoder = encoder_of(codec)
    keys = [encoder.encode(frame, keyframe=n in (7, 8, 20))[1] for n, frame in enumerate(moving_face(40))]
    assert [n for n, key in enumerate(keys) if key] == [0, 7, 8, 20]


def test_a_change_of_scene_makes_no_keyframe(codec: Codec) -> None:
    encoder = encoder_of(codec)
    frames = moving_face(10)
    assert encoder.encode(frames[0])[1]
    assert not encoder.encode(255 - frames[1])[1]


def test_a_decoder_can_begin_at_a_keyframe_and_nowhere_else(codec: Codec) -> None:
    encoder = encoder_of(codec)
    units = [encoder.encode(frame, keyframe=n == 6)[0] for n, frame in enumerate(moving_face(12))]
    late = VideoDecoder(codec)
    for n in range(6, 12):
        assert psnr(late.decode(units[n]), moving_face(12)[n]) > GOOD_DB
    with pytest.raises((av.error.FFmpegError, AssertionError)):
        VideoDecoder(codec).decode(units[3])


def test_a_small_change_of_the_bitrate_is_ignored(codec: Codec) -> None:
    encoder, frames = encoder_of(codec), moving_face(10)
    encoder.encode(frames[0])
    encoder.set_bitrate(1_150_000)
    assert not encoder.encode(frames[1])[1]
    assert encoder.bitrate == 1_000_000


def test_a_large_change_of_the_bitrate_begins_anew_with_a_keyframe_in_the_same_stream(codec: Codec) -> None:
    encoder, decoder, frames = encoder_of(codec), VideoDecoder(codec), moving_face(10)
    for frame in frames[:5]:
        decoder.decode(encoder.encode(frame)[0])
    encoder.set_bitrate(300_000)
    unit, is_key = encoder.encode(frames[5])
    assert is_key and encoder.bitrate == 300_000
    assert psnr(decoder.decode(unit), frames[5]) > GOOD_DB
    assert not encoder.encode(frames[6])[1]


def test_the_bitrate_caps_pictures_that_are_hard_to_encode(codec: Codec) -> None:
    noise = np.random.default_rng(1).integers(0, 60, (50, SIZE * 3 // 2, SIZE), np.uint8)
    frames = (moving_face(50) // 2 + noise).astype(np.uint8)

    def bits_at(bitrate: int) -> int:
        encoder = encoder_of(codec, bitrate)
        return 8 * sum(len(encoder.encode(frame)[0]) for frame in frames)

    assert bits_at(300_000) < 0.7 * bits_at(2_000_000)
    assert bits_at(300_000) < 1.5 * 300_000 * len(frames) / FPS


def test_the_bitrate_may_change_while_another_thread_encodes(codec: Codec) -> None:
    encoder, frames = encoder_of(codec), moving_face(10)
    with ThreadPoolExecutor(1) as pool:
        encoding = pool.submit(lambda: [encoder.encode(frame)[0] for _ in range(6) for frame in frames])
        bitrates = [300_000, 900_000]
        while not encoding.done():
            bitrates.reverse()
            encoder.set_bitrate(bitrates[0])
        assert all(encoding.result())

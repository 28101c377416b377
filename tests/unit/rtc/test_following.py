"""Another face on the same playout: the sound knows nothing of it, and the old face is there until the new one is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from opentalking.rtc.idle import Face, encode_loop
from opentalking.rtc.playout import AVSlot, Picture
from opentalking.rtc.stream import VideoStream
from opentalking.rtc.video import Codec, VideoEncoder
from opentalking.types import PLAYBACK_SAMPLES, UInt8, i420_shape
from tests.unit.rtc.decoding import VideoDecoder
from tests.unit.rtc.stage import Source, Stage, moving_face, psnr, turn_of, wave_of
from tests.unit.rtc.test_stream import is_keyframe

TALL = (16, 24)


def tall_face(frames: int = 5) -> Face:
    return Face(np.full((frames, *i420_shape(*TALL)), 90, np.uint8))


def in_tall(slots: list[AVSlot], frames: int = 5) -> list[AVSlot]:
    """The same slots as another face draws them."""
    frame = np.full(i420_shape(*TALL), 150, np.uint8)
    return [AVSlot(slot.generation, slot.info, slot.pose % frames, slot.pcm, frame) for slot in slots]


def faces(stage: Stage) -> list[Face]:
    """Of the pictures, each once, in their order."""
    shown = [tick.picture.face for tick in stage.ticks if tick.picture is not None]
    return [face for face, _ in itertools.groupby(shown)]


def follow(stage: Stage, face: Face) -> tuple[Source, list[int]]:
    """The source of another face, and a list that gets the number of the tick in which it is shown."""
    source, shown_in = Source(), []
    stage.playout.follow(source, face, lambda: shown_in.append(len(stage.ticks)))
    return source, shown_in


def test_an_idle_face_gives_way_with_the_next_picture() -> None:
    stage, face = Stage(), tall_face()
    stage.run(5)
    _, shown_in = follow(stage, face)
    stage.run(20)
    assert shown_in == [6]
    assert [tick.picture is not None for tick in stage.ticks] == [n % 2 == 0 for n in range(25)]
    assert faces(stage)[-1] is face
    assert all(tick.picture.pose < 5 for tick in stage.ticks[6:] if tick.picture is not None)


def test_a_turn_passes_from_face_to_face_without_a_sample_lost_or_doubled() -> None:
    stage, face, turn = Stage(), tall_face(), turn_of(1, 12)
    stage.arrive(*turn[:7])
    stage.run(6)
    source, shown_in = follow(stage, face)
    source.slots.extend(in_tall(turn[7:]))
    stage.run(40)
    assert np.array_equal(stage.spoken(), wave_of(1, 12 * PLAYBACK_SAMPLES))
    assert shown_in == [14]  # the old face has drawn seven frames
    pixels = [tick.picture.pixels for tick in stage.ticks if tick.picture is not None]
    spoken = [(one.shape, int(one[0, 0])) for one in pixels if one is not None]
    assert spoken[:12] == [(i420_shape(16, 16), 200)] * 7 + [(i420_shape(*TALL), 150)] * 5
    assert stage.observer.endings() == [("ended", 1, 0, 12 * PLAYBACK_SAMPLES)]


def test_a_face_that_has_drawn_nothing_yet_is_there_and_starves_for_a_moment() -> None:
    stage, face, turn = Stage(), tall_face(), turn_of(1, 8)
    stage.arrive(*turn[:4])
    stage.run(2)
    source, _ = follow(stage, face)
    stage.run(8)  # one picture more than the old face has drawn
    assert (faces(stage)[-1], stage.playout.starved) == (face, 1)
    source.slots.extend(in_tall(turn[4:]))
    stage.run(20)
    assert np.array_equal(stage.spoken(), wave_of(1, 8 * PLAYBACK_SAMPLES))


@pytest.mark.parametrize("after", ["resume", "cut"])
def test_a_turn_that_holds_still_keeps_its_face_until_it_goes_on_or_is_cut(after: str) -> None:
    stage, face, turn = Stage(), tall_face(), turn_of(1, 4)
    stage.arrive(*turn[:2])
    stage.run(3)  # in the middle of the last slot that the old face has drawn
    stage.pause()
    source, shown_in = follow(stage, face)
    source.slots.extend(in_tall(turn[2:]))
    stage.run(20)
    assert shown_in == []
    if after == "resume":
        stage.resume()
        stage.run(20)
        assert len(stage.spoken()) == 4 * PLAYBACK_SAMPLES
    else:
        stage.interrupt(2)
        source.generation = 2
        stage.run(20)
        assert stage.observer.endings() == [("cut", 1, 0, PLAYBACK_SAMPLES + PLAYBACK_SAMPLES // 2)]
    assert faces(stage)[-1] is face


def test_of_several_faces_each_plays_what_it_drew() -> None:
    stage, turn = Stage(), turn_of(1, 6)
    second, third = tall_face(), tall_face()
    stage.arrive(*turn[:2])
    stage.run(1)
    source, shown_in = follow(stage, second)
    source.slots.extend(in_tall(turn[2:3]))
    last, last_shown_in = follow(stage, third)
    last.slots.extend(in_tall(turn[3:]))
    stage.run(30)
    assert np.array_equal(stage.spoken(), wave_of(1, 6 * PLAYBACK_SAMPLES))
    assert (shown_in, last_shown_in) == ([4], [6])
    assert faces(stage)[1:] == [second, third]


POSES = 100


def joined(codec: Codec, before: int, with_loops: bool = False) -> tuple[list[bool], float]:
    """Which pictures are keyframes, and the worst picture, when a face of another size follows after `before`."""
    small, large = (face_of(moving_face(POSES, size), with_loops) for size in (160, 192))
    stream = VideoStream(VideoEncoder(codec, 1_000_000), 0.3)
    decoder, keys, worst = VideoDecoder(codec), [], 99.0
    for n in range(before + 12):
        picture = Picture(n % POSES, None, small if n < before else large)
        unit = stream.encode(picture)
        keys.append(is_keyframe(codec, unit))
        seen, drawn = decoder.decode(unit), picture.face.clip[picture.pose]
        assert seen.shape == drawn.shape
        worst = min(worst, psnr(seen, drawn))
    return keys, worst


def face_of(clip: UInt8, with_loop: bool) -> Face:
    loop = encode_loop(clip, "h264", 1_000_000) if with_loop else None
    return Face(clip, lambda codec: loop)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_the_new_face_begins_with_a_keyframe_of_its_own_size(codec: Codec) -> None:
    keys, worst = joined(codec, 12)
    assert [n for n, key in enumerate(keys) if key] == [0, 12]
    assert worst > 27


def test_a_face_whose_loop_is_encoded_already_does_not_follow_the_loop_of_the_one_before() -> None:
    keys, worst = joined("h264", 60, with_loops=True)
    assert keys[60]
    assert worst > 27

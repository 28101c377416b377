"""One decodable sequence made of live pictures and of a loop that was encoded long before."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentalking.rtc.idle import ENTRY_FRAMES, EncodedLoop, Face, encode_loop
from opentalking.rtc.playout import Picture
from opentalking.rtc.stream import VideoStream
from opentalking.rtc.video import Codec, VideoEncoder
from opentalking.types import UInt8
from tests.unit.rtc.decoding import VideoDecoder
from tests.unit.rtc.stage import moving_face, psnr

POSES = 2 * ENTRY_FRAMES
SIZE = 160
BITRATE = 1_000_000
GOOD_DB = 27.0


@cache
def loop_of(codec: Codec) -> EncodedLoop:
    return encode_loop(moving_face(POSES), codec, BITRATE)


@pytest.fixture(params=["h264", "vp8"])
def codec(request: pytest.FixtureRequest) -> Codec:
    chosen: Codec = request.param
    return chosen


@dataclass
class Watched:
    """A stream, its receiver, and the time."""

    codec: Codec
    loop: EncodedLoop | None = None
    now_s: float = 100.0
    interval_s: float = 0.3
    pose: int = -1
    worst_db: float = 99.0
    live: list[bool] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.encoder = VideoEncoder(self.codec, BITRATE)
        self.face = Face(moving_face(POSES), lambda codec: self.loop)
        self.stream = VideoStream(self.encoder, self.interval_s, lambda: self.now_s)
        self.decoder = VideoDecoder(self.codec)

    def show(self, picture: Picture) -> None:
        """Send one picture and look at what the browser sees of it."""
        self.pose = picture.pose
        before = self.stream.live_frames
        announced = self.stream.needs_encoder(picture)
        unit = self.stream.encode(picture)
        self.live.append(self.stream.live_frames > before)
        assert announced == self.live[-1]
        self.keys.append(is_keyframe(self.codec, unit))
        shown = moving_face(POSES)[picture.pose] if picture.pixels is None else picture.pixels
        self.worst_db = min(self.worst_db, psnr(self.decoder.decode(unit), shown))
        self.now_s += 0.04

    def idle(self, pictures: int) -> None:
        for _ in range(pictures):
            self.show(Picture((self.pose + 1) % POSES, None, self.face))

    def speak(self, pictures: int) -> None:
        for _ in range(pictures):
            pose = (self.pose + 1) % POSES
            self.show(Picture(pose, talking(pose), self.face))

    def idle_to(self, pose: int) -> None:
        """Idle until `pose` was shown."""
        self.idle((pose - self.pose - 1) % POSES + 1)


def talking(pose: int) -> UInt8:
    """A face that moves its mouth: the idle picture with a patch that changes."""
    pixels: UInt8 = moving_face(POSES)[pose].copy()
    pixels[100:120, 60:100] = 60 + 7 * (pose % 16)
    return pixels


def is_keyframe(codec: Codec, unit: bytes) -> bool:
    """Read it from the bits: VP8's frame tag (RFC 6386, 9.1), an H.264 NAL unit of type 5."""
    if codec == "vp8":
        return not unit[0] & 1
    return any(part and part[0] & 0x1F == 5 for part in unit.split(b"\0\0\1")[1:])


def test_without_a_loop_everything_is_live_and_only_the_first_picture_a_keyframe(codec: Codec) -> None:
    watched = Watched(codec)
    watched.idle(5)
    watched.speak(5)
    watched.idle(5)
    assert all(watched.live)
    assert watched.keys == [True] + [False] * 14
    assert watched.worst_db > GOOD_DB


@pytest.mark.parametrize("start", [0, 1, ENTRY_FRAMES - 1, ENTRY_FRAMES, POSES - 1])
def test_the_loop_is_joined_at_an_entry_and_then_followed_for_ever(codec: Codec, start: int) -> None:
    watched = Watched(codec, loop_of(codec), pose=start - 1)
    watched.idle(POSES + 70)
    joined = -start % ENTRY_FRAMES
    assert watched.live == [True] * joined + [False] * (POSES + 70 - joined)
    assert watched.keys[joined]
    assert watched.worst_db > GOOD_DB
    assert (watched.stream.live_frames, watched.stream.loop_frames) == (joined, POSES + 70 - joined)


def test_a_loop_that_becomes_ready_is_joined_at_the_next_entry(codec: Codec) -> None:
    watched = Watched(codec)
    watched.idle(10)
    watched.loop = loop_of(codec)
    watched.idle(ENTRY_FRAMES)
    assert watched.live == [True] * ENTRY_FRAMES + [False] * 10


def test_speech_that_leaves_the_loop_begins_with_a_keyframe_and_goes_on_without(codec: Codec) -> None:
    watched = Watched(codec, loop_of(codec))
    watched.idle(20)
    watched.speak(20)
    assert watched.live[20:] == [True] * 20
    assert watched.keys[20:] == [True] + [False] * 19
    assert watched.worst_db > GOOD_DB


def test_a_picture_that_was_dropped_leaves_the_loop_until_the_next_entry(codec: Codec) -> None:
    watched = Watched(codec, loop_of(codec))
    watched.idle(10)
    watched.pose += 1
    watched.idle(ENTRY_FRAMES)
    assert watched.live[10:] == [True] * (ENTRY_FRAMES - 11) + [False] * 11
    assert watched.keys[10]
    assert watched.worst_db > GOOD_DB


def test_a_keyframe_that_is_asked_for_in_the_loop_comes_with_the_next_picture(codec: Codec) -> None:
    watched = Watched(codec, loop_of(codec))
    watched.idle(20)
    watched.stream.request_keyframe()
    watched.idle(ENTRY_FRAMES)
    assert watched.keys[20] and watched.live[20]
    assert watched.live[20:] == [True] * (ENTRY_FRAMES - 20) + [False] * 20
    assert watched.worst_db > GOOD_DB


def test_an_entry_of_the_loop_answers_a_request_and_the_loop_goes_on(codec: Codec) -> None:
    watched = Watched(codec, loop_of(codec))
    watched.idle(ENTRY_FRAMES)
    watched.stream.request_keyframe()
    watched.idle(20)
    assert watched.keys[ENTRY_FRAMES]
    assert not any(watched.live)


def test_a_keyframe_that_is_asked_for_while_live_is_granted(codec: Codec) -> None:
    watched = Watched(codec)
    watched.speak(10)
    watched.stream.request_keyframe()
    watched.speak(10)
    assert [n for n, key in enumerate(watched.keys) if key] == [0, 10]


def test_keyframes_are_granted_at_most_once_per_interval(codec: Codec) -> None:
    watched = Watched(codec, interval_s=0.3)
    for _ in range(50):
        watched.speak(1)
        watched.stream.request_keyframe()
    keys = [n for n, key in enumerate(watched.keys) if key]
    assert keys == list(range(0, 50, 8))  # 8 pictures: the first multiple of 40 ms beyond 300


def test_a_keyframe_that_is_asked_for_while_one_is_being_encoded_is_that_one(codec: Codec) -> None:
    watched = Watched(codec, interval_s=0.3)
    encode = watched.encoder.encode

    def asked_meanwhile(pixels: UInt8, keyframe: bool = False) -> tuple[bytes, bool]:
        watched.stream.request_keyframe()
        return encode(pixels, keyframe)

    watched.encoder.encode = asked_meanwhile  # type: ignore[method-assign]
    watched.speak(12)
    assert [n for n, key in enumerate(watched.keys) if key] == [0, 9]


def test_joining_the_loop_counts_as_a_keyframe(codec: Codec) -> None:
    watched = Watched(codec, loop_of(codec))
    watched.idle(3)
    watched.stream.request_keyframe()
    watched.idle(10)
    assert not any(watched.live)


def test_a_new_bitrate_does_not_break_the_sequence(codec: Codec) -> None:
    watched = Watched(codec, loop_of(codec))
    watched.speak(5)
    watched.stream.set_bitrate(500_000)
    watched.speak(5)
    watched.idle_to(ENTRY_FRAMES)
    watched.stream.set_bitrate(900_000)
    watched.idle(5)
    watched.speak(5)
    assert watched.worst_db > GOOD_DB


def test_a_whole_conversation_decodes_and_resembles_its_source_picture_by_picture(codec: Codec) -> None:
    watched = Watched(codec, loop_of(codec))
    watched.idle(30)
    watched.speak(40)
    for share in (0.4, 0.75):  # the fall back to the idle face
        pose = watched.pose + 1
        mixed = share * moving_face(POSES)[pose] + (1 - share) * talking(watched.pose)
        watched.show(Picture(pose, mixed.astype(np.uint8), watched.face))
    watched.idle_to(ENTRY_FRAMES + 20)
    watched.stream.request_keyframe()
    watched.idle_to(15)  # over the end of the loop
    watched.speak(3)
    watched.idle_to(ENTRY_FRAMES - 1)
    watched.speak(1)  # just where an entry is
    watched.idle_to(1)
    assert watched.live.count(False) > 60 and watched.live.count(True) > 60
    assert watched.worst_db > GOOD_DB


STEPS = st.lists(
    st.tuples(st.sampled_from(["idle", "speak", "jump", "key", "loop", "bitrate"]), st.integers(1, 30)), max_size=12
)


@settings(max_examples=15, deadline=None)
@given(steps=STEPS, start=st.integers(0, POSES - 1), codec=st.sampled_from(["h264", "vp8"]))
def test_no_sequence_of_events_makes_a_stream_that_cannot_be_decoded(
    steps: list[tuple[str, int]], start: int, codec: Codec
) -> None:
    watched = Watched(codec, pose=start)
    for what, count in steps:
        match what:
            case "idle":
                watched.idle(count)
            case "speak":
                watched.speak(count)
            case "jump":
                watched.pose = (watched.pose + count) % POSES
            case "key":
                watched.stream.request_keyframe()
            case "loop":
                watched.loop = loop_of(codec)
            case "bitrate":
                watched.stream.set_bitrate(300_000 + 40_000 * count)
    watched.idle(3)
    assert watched.keys[0]
    assert watched.worst_db > 24.0

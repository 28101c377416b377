"""From PCM slots to AV slots, with the real portrait model and real rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.models.portrait.adapter import PortraitAdapter, PortraitAvatar
from opentalking.slots import SlotFlags, SlotInfo, av_views, pack_pcm, read_av_header
from opentalking.types import FRAME_MS, MODEL_SAMPLES, PLAYBACK_SAMPLES, Int16, UInt8, i420_shape
from shm import Writer
from workers import links
from workers.render import RenderSession

AV_SLOTS = 16


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> PortraitAdapter:
    made = PortraitAdapter(cache_dir=tmp_path_factory.mktemp("cache"))
    made.load_model("cpu")
    return made


@pytest.fixture(scope="module")
def avatar(adapter: PortraitAdapter) -> PortraitAvatar:
    return adapter.load_avatar(PACKAGED / "presenter")


@dataclass(frozen=True)
class Frame:
    """One AV slot, copied."""

    generation: int
    info: SlotInfo
    pose: int
    pcm: Int16
    picture: UInt8


class Around:
    """A rendering session between a speech process and an rtc process that are played by the test."""

    def __init__(self, adapter: Any, avatar: PortraitAvatar, folder: Path) -> None:
        self.session = RenderSession(adapter, avatar, folder)
        self.device = ThreadPoolExecutor(1)
        self._size = (avatar.width, avatar.height)
        self.speech = links.pcm_producer(folder)
        self.av = links.av_consumer(folder, *self._size)
        self.board = links.open_board(folder, Writer.SPEECH)
        self.rtc = links.open_board(folder, Writer.RTC)
        self.before_call: Callable[[str], None] = lambda name: None
        self.calls: list[str] = []

    async def on_device(self, call: Any, *args: Any) -> Any:
        self.calls.append(call.__name__)
        self.before_call(call.__name__)
        return await asyncio.get_running_loop().run_in_executor(self.device, call, *args)

    def say(self, generation: int, pcm: Int16, part: slice = slice(None)) -> None:
        """Hand over a turn, or some of its slots, as the speech process does."""
        self.board.raise_generation(generation)
        slots = pcm.reshape(-1, PLAYBACK_SAMPLES)
        for n in range(len(slots))[part]:
            flags = SlotFlags.NONE
            flags |= SlotFlags.TURN_START | SlotFlags.FRAGMENT_START if n == 0 else SlotFlags.NONE
            flags |= SlotFlags.TURN_END | SlotFlags.FRAGMENT_END if n == len(slots) - 1 else SlotFlags.NONE
            payload = self.speech.try_claim()
            assert payload is not None
            info = SlotInfo(0, flags, n * PLAYBACK_SAMPLES, PLAYBACK_SAMPLES)
            pack_pcm(payload, info, slots[n, ::3].copy(), slots[n])
            self.speech.publish(generation)

    async def render(self, steps: int = 1000) -> None:
        """Step as long as there is something to do."""
        while steps and self.session.can_progress():
            await self.session.step(self.on_device)
            steps -= 1

    def take(self) -> Frame | None:
        slot = self.av.front(self.board.generation)
        if slot is None:
            return None
        info, pose = read_av_header(slot.payload)
        views = av_views(slot.payload, *self._size)
        frame = Frame(slot.generation, info, pose, views.pcm.copy(), views.frame.copy())
        self.av.advance()
        return frame

    def take_all(self) -> list[Frame]:
        return list(iter(self.take, None))

    def close(self) -> None:
        self.device.shutdown()
        self.session.close()
        for end in (self.speech, self.av, self.board, self.rtc):
            end.close()


@pytest.fixture
def around(adapter: PortraitAdapter, avatar: PortraitAvatar, tmp_path: Path) -> Iterator[Around]:
    made = Around(adapter, avatar, tmp_path)
    yield made
    made.close()


def voice(slots: int, seed: int = 1) -> Int16:
    """Bursts of noise and pauses, different for every seed; whole slots at 48 kHz."""
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.choice([0, 9_000], slots), PLAYBACK_SAMPLES)
    return np.asarray(rng.uniform(-1, 1, slots * PLAYBACK_SAMPLES) * loud, np.int16)


def sound_of(frames: list[Frame]) -> Int16:
    return np.concatenate([np.zeros(0, np.int16), *(frame.pcm for frame in frames)])


@pytest.mark.parametrize("slots", [1, 2, 5, 14])
async def test_every_slot_of_sound_becomes_one_frame_with_exactly_its_sound(around: Around, slots: int) -> None:
    pcm = voice(slots)
    around.say(1, pcm)
    await around.render()
    frames = around.take_all()
    assert len(frames) == slots
    assert sound_of(frames).tobytes() == pcm.tobytes()
    assert [frame.info.sample for frame in frames] == [n * PLAYBACK_SAMPLES for n in range(slots)]
    assert frames[0].info.flags & SlotFlags.TURN_START and frames[-1].info.flags & SlotFlags.TURN_END
    assert {frame.generation for frame in frames} == {1}
    assert not around.session.can_progress()


async def test_levels_tell_what_waits_in_either_ring(around: Around) -> None:
    around.say(1, voice(20))
    assert around.session.levels() == {"pcm": 20, "av": 0}
    await around.render(steps=3)
    levels = around.session.levels()
    assert levels["av"] == 3 and 20 - levels["pcm"] == 3 + around.session.adapter.lookahead_ms // FRAME_MS
    around.take_all()
    assert around.session.levels()["av"] == 0


async def test_sound_that_comes_slot_by_slot_is_rendered_alike(around: Around) -> None:
    pcm = voice(10)
    around.say(1, pcm)
    await around.render()
    at_once = around.take_all()
    for n in range(10):
        around.say(2, pcm, slice(n, n + 1))
        await around.render()
    one_by_one = around.take_all()
    assert sound_of(one_by_one).tobytes() == pcm.tobytes()
    for one, other in zip(at_once, one_by_one, strict=True):
        assert np.array_equal(one.picture, other.picture)


async def test_a_frame_is_not_made_before_the_model_has_heard_enough(around: Around, adapter: PortraitAdapter) -> None:
    pcm = voice(10)
    heard = 0
    while around.av.depth == 0:
        around.say(1, pcm, slice(heard, heard + 1))
        heard += 1
        await around.render()
    assert heard == 1 + -(-adapter.lookahead_ms // 40)


async def test_the_mouth_moves_with_the_sound_and_the_head_with_the_pose(
    around: Around, adapter: PortraitAdapter, avatar: PortraitAvatar
) -> None:
    around.rtc.write_pose(30)
    around.say(1, voice(12))
    await around.render()
    frames = around.take_all()
    first = frames[0].pose
    assert first == 32  # two frames pass until it is shown
    assert [frame.pose for frame in frames] == [first + n for n in range(12)]
    still = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
    moved = 0
    for frame in frames:
        adapter.idle_frame(avatar, frame.pose, still)
        moved += int(not np.array_equal(frame.picture, still))
    assert moved >= 6


async def test_poses_go_on_over_the_end_of_the_idle_loop(around: Around, avatar: PortraitAvatar) -> None:
    around.rtc.write_pose(avatar.idle_frames - 4)
    around.say(1, voice(6))
    await around.render()
    assert [frame.pose for frame in around.take_all()] == [
        (avatar.idle_frames - 2 + n) % avatar.idle_frames for n in range(6)
    ]


async def test_rendering_stops_in_front_of_a_full_ring_and_goes_on_as_frames_are_taken(around: Around) -> None:
    pcm = voice(AV_SLOTS + 9)
    around.say(1, pcm)
    await around.render()
    assert around.av.depth == around.session.buffered == AV_SLOTS
    assert not around.session.can_progress()
    frames = []
    while (frame := around.take()) is not None:
        frames.append(frame)
        await around.render()
    assert sound_of(frames).tobytes() == pcm.tobytes()


@pytest.mark.parametrize("steps", [0, 1, 3, 6])
@pytest.mark.parametrize("heard_by", ["board", "rtc"])
async def test_a_raised_generation_drops_the_rest_of_the_turn(around: Around, steps: int, heard_by: str) -> None:
    around.say(1, voice(12))
    await around.render(steps)
    getattr(around, heard_by).raise_generation(2)
    around.calls.clear()
    await around.render()
    assert around.calls == []
    assert around.take_all() == []
    assert around.speech.depth == 0


@pytest.mark.parametrize("during", ["_predict", "compose_frame"])
@pytest.mark.parametrize("times", [1, 4])
async def test_an_interruption_while_the_model_computes_lets_nothing_through(
    around: Around, during: str, times: int
) -> None:
    calls = 0

    def interrupt(name: str) -> None:
        nonlocal calls
        calls += name == during
        if calls == times:
            around.rtc.raise_generation(2)

    around.before_call = interrupt
    around.say(1, voice(12))
    await around.render()
    assert calls == times
    assert around.take_all() == []
    second = voice(7, seed=2)
    around.before_call = lambda name: None
    around.say(2, second)
    await around.render()
    frames = around.take_all()
    assert {frame.generation for frame in frames} == {2}
    assert sound_of(frames).tobytes() == second.tobytes()


@pytest.mark.parametrize("steps", [1, 2, 5])
async def test_the_turn_after_an_interruption_is_as_if_there_had_been_none(around: Around, steps: int) -> None:
    second = voice(8, seed=2)
    around.say(1, second)
    await around.render()
    undisturbed = around.take_all()
    around.say(2, voice(9, seed=3))
    await around.render(steps)
    around.say(3, second)
    await around.render()
    frames = around.take_all()
    assert sound_of(frames).tobytes() == second.tobytes()
    assert [frame.info for frame in frames] == [frame.info for frame in undisturbed]
    for one, other in zip(undisturbed, frames, strict=True):
        assert np.array_equal(one.picture, other.picture)


async def test_a_slot_that_is_newer_than_the_board_raises_it(around: Around) -> None:
    pcm = voice(4)
    around.say(1, pcm, slice(0, 2))
    payload = around.speech.try_claim()
    assert payload is not None
    info = SlotInfo(0, SlotFlags.TURN_START | SlotFlags.TURN_END, 0, PLAYBACK_SAMPLES)
    pack_pcm(payload, info, np.zeros(MODEL_SAMPLES, np.int16), pcm[:PLAYBACK_SAMPLES])
    around.speech.publish(5)
    await around.render()
    assert around.rtc.generation == 5
    assert [frame.generation for frame in around.take_all()] == [5]


async def test_the_moment_of_a_turns_first_frame_is_noted_once(around: Around) -> None:
    assert around.board.first_frame(1) is None
    around.say(1, voice(6))
    await around.render(1)
    noted = around.board.first_frame(1)
    assert noted is not None
    await around.render()
    assert around.board.first_frame(1) == noted


async def test_it_wakes_when_sound_comes_and_when_a_quarter_of_its_frames_was_taken(around: Around) -> None:
    woken = asyncio.Event()
    around.session.listen(woken.set)
    around.say(1, voice(AV_SLOTS + 5))
    await woken.wait()
    await around.render()
    woken.clear()
    for _ in range(AV_SLOTS // 4 - 1):
        assert around.take() is not None
    await asyncio.sleep(0)
    assert not woken.is_set()
    assert not around.session.can_progress()
    assert around.take() is not None
    await woken.wait()
    assert around.session.can_progress()


async def test_a_successor_takes_over_after_a_session_was_closed(
    around: Around, adapter: Any, avatar: PortraitAvatar, tmp_path: Path
) -> None:
    pcm = voice(10)
    around.say(1, pcm)
    await around.render(4)
    around.device.submit(int).result()  # by then the device's thread has let go of its last picture
    around.session.close()
    assert around.session.closed
    around.session = RenderSession(adapter, avatar, tmp_path)
    second = voice(5, seed=2)
    around.say(2, second)
    await around.render()
    assert sound_of(around.take_all()).tobytes() == second.tobytes()


async def test_a_turn_is_handed_to_another_face_without_a_sound_lost_or_doubled(
    around: Around, adapter: Any, avatar: PortraitAvatar, tmp_path: Path
) -> None:
    pcm = voice(25)
    around.say(1, pcm, slice(0, 12))
    await around.render()
    drawn = await around.session.retire(around.on_device)
    around.say(1, pcm, slice(12, None))
    await around.render()
    assert drawn.is_set()
    before = around.take_all()
    assert [frame.info.sample for frame in before] == [n * PLAYBACK_SAMPLES for n in range(12)]  # the look-ahead, too

    around.session.close()
    around.av.close()
    around.session = RenderSession(adapter, avatar, tmp_path, face=1)
    around.av = links.av_consumer(tmp_path, avatar.width, avatar.height, face=1)
    await around.render(8)
    after = around.take_all()
    await around.render()
    after += around.take_all()
    assert sound_of(before + after).tobytes() == pcm.tobytes()


async def test_an_interrupt_ends_the_wait_for_pictures_that_nobody_takes(around: Around) -> None:
    around.say(1, voice(25))
    await around.render()
    drawn = await around.session.retire(around.on_device)
    await around.render()
    assert not drawn.is_set()
    around.board.raise_generation(2)
    await around.render()
    assert drawn.is_set()


async def test_a_face_that_was_to_go_and_stays_hears_again(around: Around) -> None:
    await around.session.retire(around.on_device)
    around.session.come_back()
    around.say(1, voice(10))
    await around.render()
    assert len(around.take_all()) == 10


class Afar:
    """A model that answers when it is told to; a prediction is the number of the chunk."""

    model_type, chunk_ms, lookahead_ms = "afar", FRAME_MS, 0

    def __init__(self) -> None:
        self.heard = self.told = self.ends = 0

    def __getattr__(self, name: str) -> Any:  # what it has nothing to do for
        return lambda *arguments: None

    def extract_features(self, chunk: Any, stream: Any) -> Any:
        return chunk

    def infer(self, features: Any, stream: Any) -> list[Any]:
        self.heard += features is not None
        self.ends += features is None
        return []

    def can_take(self, stream: Any) -> bool:
        return True

    def arrived(self, stream: Any) -> bool:
        return self.told > 0

    def collect(self, stream: Any) -> list[Any]:
        told, self.told = self.told, 0
        return list(range(told))


@pytest.mark.parametrize("slots", [4, 10])
async def test_a_model_that_answers_late_is_waited_for_and_told_of_the_end_once(
    around: Around, avatar: PortraitAvatar, tmp_path: Path, slots: int
) -> None:
    afar: Any = Afar()
    around.session.close()
    around.session = RenderSession(afar, avatar, tmp_path)
    around.say(1, voice(10), slice(0, slots))  # ten are the whole turn
    await around.render()
    drawn = await around.session.retire(around.on_device)
    await around.render()
    assert (afar.heard, afar.ends, drawn.is_set()) == (slots, 1, False)
    afar.told = slots
    await around.render()
    assert drawn.is_set()
    assert len(around.take_all()) == slots

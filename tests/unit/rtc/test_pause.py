"""A turn that holds still because somebody speaks, and goes on with the next sample, or is cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.rtc.playout import AVSlot
from opentalking.types import PACKET_SAMPLES, PLAYBACK_RATE, PLAYBACK_SAMPLES, Int16
from tests.unit.rtc.stage import IDLE_FRAMES, Stage, turn_of, wave_of

JOIN_SAMPLES = PLAYBACK_RATE * 5 // 1000
SLOTS = 6
PACKETS = 2 * SLOTS
WHOLE = wave_of(1, SLOTS * PLAYBACK_SAMPLES)


def faded_in(wave: Int16, *joins: int) -> Int16:
    """The sound with 5 ms of fading in from each of these samples."""
    rise = np.arange(JOIN_SAMPLES) / JOIN_SAMPLES
    expected = wave.copy()
    for join in joins:
        expected[join : join + JOIN_SAMPLES] = rise[: len(wave) - join] * wave[join : join + JOIN_SAMPLES]
    return expected


def same(heard: Int16, expected: Int16) -> bool:
    """But for rounding."""
    return heard.size == expected.size and bool(np.abs(heard.astype(int) - expected).max(initial=0) <= 1)


@pytest.mark.parametrize("pause_at", range(1, PACKETS))
@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_a_turn_goes_on_with_the_very_next_sample_wherever_it_was_paused(pause_at: int, length: int) -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(pause_at)
    stage.pause()
    waiting = stage.source.depth
    stage.run(length)
    assert stage.source.depth == waiting
    assert stage.observer.cursor == (1, 0, pause_at * PACKET_SAMPLES)
    stage.resume()
    stage.run(PACKETS - pause_at)
    join = pause_at * PACKET_SAMPLES
    assert same(stage.spoken(), faded_in(WHOLE, join))
    assert np.array_equal(stage.spoken()[join + JOIN_SAMPLES :], WHOLE[join + JOIN_SAMPLES :])
    assert stage.observer.pauses() == [("paused", 1, 0, join), ("resumed", 1, 0, join)]
    assert stage.observer.endings() == [("ended", 1, 0, WHOLE.size)]
    assert stage.observer.told.count(("fragment", 1, 0)) == 1


@pytest.mark.parametrize("pause_at", range(1, PACKETS))
def test_while_it_holds_still_sound_decays_as_at_a_cut_and_the_picture_is_the_idle_face(pause_at: int) -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(pause_at)
    stage.pause()
    held = [stage.tick() for _ in range(7)]
    silence = np.concatenate([tick.sound for tick in held])
    assert not silence[JOIN_SAMPLES:].any()
    assert [tick.picture is not None for tick in held] == [True, True, False, True, False, True, False]
    between, *idle = [tick.picture for tick in held if tick.picture is not None]
    assert between.pixels is not None and 170 > int(between.pixels[0, 0]) > 60
    assert all(picture.pixels is None for picture in idle)
    assert {picture.pose for picture in (between, *idle)} == {stage.observer.poses[-1]}
    assert stage.playout.speaking


@pytest.mark.parametrize("pause_at", range(1, PACKETS))
def test_the_picture_of_the_frame_it_was_stopped_in_comes_back_for_the_rest_of_it(pause_at: int) -> None:
    stage = Stage()
    for shade, slot in enumerate(turn_of(1, SLOTS)):
        stage.arrive(AVSlot(1, slot.info, slot.pose, slot.pcm, np.full_like(slot.frame, 100 + shade)))
    stage.run(pause_at)
    stage.pause()
    stage.run(5)
    stage.resume()
    shown = []
    for _ in range(PACKETS - pause_at):
        picture = stage.tick().picture
        shown.append(None if picture is None or picture.pixels is None else int(picture.pixels[0, 0]))
    whole = [100 + n // 2 if n % 2 == 0 else None for n in range(PACKETS)]
    if pause_at % 2:
        whole[pause_at] = 100 + pause_at // 2
    assert shown == whole[pause_at:]


@pytest.mark.parametrize("pause_at", range(1, PACKETS))
@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_the_head_never_jumps_though_the_turn_was_rendered_before_it_was_paused(pause_at: int, length: int) -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(pause_at)
    stage.pause()
    stage.run(length)
    stage.resume()
    stage.run(PACKETS - pause_at + 4)
    poses = [tick.picture.pose for tick in stage.ticks if tick.picture is not None]
    steps = {(after - before) % IDLE_FRAMES for before, after in pairwise(poses)}
    assert steps <= {0, 1}
    assert poses[-1] == (3 + SLOTS + 2) % IDLE_FRAMES  # after the turn the idle loop goes on


def test_it_waits_for_no_prebuffer_when_it_goes_on() -> None:
    stage = Stage(prebuffer=4)
    slots = turn_of(1, SLOTS)
    stage.arrive(*slots[:4])
    stage.run(7)
    stage.pause()
    stage.run(9)
    stage.resume()
    stage.run(1)
    stage.arrive(slots[4])
    stage.run(2)
    assert stage.spoken().size == 10 * PACKET_SAMPLES


@pytest.mark.parametrize("pause_at", range(1, PACKETS))
@pytest.mark.parametrize("length", [0, 1, 2, 9])
def test_a_turn_that_is_cut_while_it_holds_still_ends_where_it_stood(pause_at: int, length: int) -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(pause_at)
    stage.pause()
    stage.run(length)
    stage.interrupt(2)
    stage.run(3)
    stage.resume()
    stage.run(3)
    heard = pause_at * PACKET_SAMPLES
    assert stage.observer.endings() == [("cut", 1, 0, heard)]
    assert stage.observer.pauses() == [("paused", 1, 0, heard)] * (length > 0)
    assert np.array_equal(stage.spoken(), WHOLE[:heard])
    stage.arrive(*turn_of(2, 3))
    stage.run(6)
    assert np.array_equal(stage.spoken()[heard:], wave_of(2, 3 * PLAYBACK_SAMPLES))


def test_a_next_turn_begins_at_once_when_the_one_that_held_still_is_cut() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(3)
    stage.pause()
    stage.run(3)
    stage.interrupt(2)
    stage.arrive(*turn_of(2, 3))
    assert stage.tick().spoken is not None
    assert stage.observer.cursor == (2, 0, PACKET_SAMPLES)


def test_a_pause_within_the_last_slot_lets_the_turn_end_when_it_goes_on() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 2))
    stage.run(3)
    stage.pause()
    stage.run(20)
    assert stage.observer.endings() == [] and stage.playout.speaking
    stage.resume()
    stage.run(1)
    assert stage.observer.endings() == [("ended", 1, 0, 2 * PLAYBACK_SAMPLES)]


def test_a_pause_that_comes_after_the_last_packet_holds_nothing() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 2))
    stage.run(4)
    stage.pause()
    stage.run(4)
    stage.interrupt(2)
    stage.arrive(*turn_of(2, 2))
    stage.run(4)
    assert stage.observer.pauses() == []
    assert [entry[0] for entry in stage.observer.endings()] == ["ended", "ended"]


def test_a_pause_of_another_turn_holds_nothing() -> None:
    stage = Stage()
    stage.arrive(*turn_of(2, 3))
    stage.pause(1)
    stage.run(6)
    assert stage.observer.pauses() == []
    assert np.array_equal(stage.spoken(), wave_of(2, 3 * PLAYBACK_SAMPLES))


@pytest.mark.parametrize("again_after", [0, 1, 2, 3])
def test_it_may_be_paused_again(again_after: int) -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(3)
    for _ in range(2):
        stage.pause()
        stage.run(4)
        stage.resume()
        stage.run(again_after)
    stage.run(PACKETS)
    joins = [n * PACKET_SAMPLES for n in (3, 3 + again_after)]
    assert same(stage.spoken(), faded_in(WHOLE, *sorted(set(joins))))
    told = [joins[0]] * 2 + [joins[1]] * 2 if again_after else [joins[0]] * 2  # nobody saw it go on in between
    assert [entry[3] for entry in stage.observer.pauses()] == told


@pytest.mark.parametrize("idle_packets", [0, 1, 2, 3])
def test_a_turn_that_has_not_begun_does_not_begin_while_it_is_paused(idle_packets: int) -> None:
    stage = Stage(prebuffer=3)
    stage.interrupt(1)
    stage.pause()
    stage.run(idle_packets)
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(20)
    assert stage.spoken().size == 0 and stage.observer.told == [] and not stage.playout.speaking
    stage.resume()
    assert stage.tick().spoken is not None
    stage.run(PACKETS - 1)
    assert np.array_equal(stage.spoken(), WHOLE)
    assert stage.observer.pauses() == []


def test_a_paused_turn_that_follows_one_that_is_cut_does_not_begin_either() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(3)
    stage.interrupt(2)
    stage.arrive(*turn_of(2, 3))
    stage.pause(2)
    stage.run(10)
    assert stage.spoken().size == 3 * PACKET_SAMPLES
    assert stage.observer.endings() == [("cut", 1, 0, 3 * PACKET_SAMPLES)]
    assert stage.playout.starved == 0


def test_a_buffer_that_is_empty_while_its_turn_holds_still_is_not_starved() -> None:
    stage = Stage()
    slots = turn_of(1, SLOTS)
    stage.arrive(*slots[:2])
    stage.run(4)
    stage.pause()
    stage.run(20)
    assert stage.playout.starved == 0
    stage.arrive(*slots[2:])
    stage.resume()
    stage.run(PACKETS - 4)
    assert stage.playout.starved == 0
    assert same(stage.spoken(), faded_in(WHOLE, 4 * PACKET_SAMPLES))


@pytest.mark.parametrize("starved", [1, 2, 3])
def test_a_starved_turn_can_be_paused_and_goes_on_when_it_may_and_can(starved: int) -> None:
    stage = Stage()
    slots = turn_of(1, SLOTS)
    stage.arrive(*slots[:2])
    stage.run(4 + starved)
    missed = stage.playout.starved
    stage.pause()
    stage.arrive(*slots[2:])
    stage.run(5)
    assert stage.spoken().size == 4 * PACKET_SAMPLES and stage.playout.starved == missed
    stage.resume()
    stage.run(PACKETS - 4)
    assert same(stage.spoken(), faded_in(WHOLE, 4 * PACKET_SAMPLES))


def test_what_is_told_with_a_time_stamp_has_that_of_the_picture_that_goes_out_with_it() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, SLOTS))
    stage.run(3)
    stage.pause()
    stage.run(2)
    stage.resume()
    stage.run(2)
    assert stage.observer.video_timestamps == [0, 3, 5]  # the stage's ticks
    assert all(stage.ticks[number].picture is not None for number in stage.observer.video_timestamps)


@given(frequency=st.integers(80, 3000), phase=st.floats(0, 6.28), pause_at=st.integers(1, 7), length=st.integers(1, 4))
def test_neither_where_it_stops_nor_where_it_goes_on_is_a_step_larger_than_the_waves_own(
    frequency: int, phase: float, pause_at: int, length: int
) -> None:
    time = np.arange(4 * PLAYBACK_SAMPLES) / PLAYBACK_RATE
    wave = (12_000 * np.sin(2 * np.pi * frequency * time + phase)).astype(np.int16)
    stage = Stage()
    stage.arrive(*turn_of(1, 4, wave))
    stage.run(pause_at)
    stage.pause()
    stage.run(length)
    stage.resume()
    stage.run(8 - pause_at)
    steps = np.abs(np.diff(stage.sound().astype(int)))
    own = int(np.abs(np.diff(wave.astype(int))).max())
    assert steps.max() <= own + 12_000 // JOIN_SAMPLES + 1


EVENTS = ["speak", "slots", "slots", "tick", "tick", "tick", "pause", "resume", "interrupt"]
STORY = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, 5)), min_size=20, max_size=80)


@given(story=STORY, prebuffer=st.integers(1, 3))
def test_whatever_is_paused_resumed_and_cut_nothing_is_lost_repeated_or_stale(
    story: list[tuple[str, int]], prebuffer: int
) -> None:
    stage = Stage(prebuffer)
    generation = 0
    owed: list[AVSlot] = []
    spoken: dict[int, list[Int16]] = {}
    for what, times in [("speak", 3), *story, ("resume", 0), ("tick", 1), ("interrupt", 0), ("tick", 2)]:
        if what in ("speak", "interrupt"):
            generation += 1
            owed = turn_of(generation, SLOTS) if what == "speak" else []
            stage.interrupt(generation)
        if what in ("speak", "slots"):
            stage.arrive(*owed[:times])
            owed = owed[times:]
        elif what == "pause":
            stage.pause(generation)
        elif what == "resume":
            stage.resume()
        for _ in range(times if what == "tick" else 0):
            tick = stage.tick()
            if tick.spoken is not None:
                assert generation != stage.source.paused  # not while it holds still
                assert stage.observer.cursor[0] == generation
                spoken.setdefault(generation, []).append(tick.spoken)
    endings = stage.observer.endings()
    assert [entry[1] for entry in endings] == sorted(spoken)
    for _, number, _, sample in endings:
        joins = {at for what, turn, _, at in stage.observer.pauses() if (what, turn) == ("resumed", number)}
        assert same(np.concatenate(spoken[number]), faded_in(wave_of(number, sample), *sorted(joins)))
    for number in spoken:
        told = [what for what, turn, *_ in stage.observer.pauses() if turn == number]
        assert told == [("paused", "resumed")[n % 2] for n in range(len(told))]

"""Between speech and the idle face: what goes out, packet by packet, and what is reported of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.rtc.playout import AVSlot
from opentalking.slots import SlotFlags, SlotInfo
from opentalking.types import FPS, PACKET_SAMPLES, PLAYBACK_RATE, PLAYBACK_SAMPLES, Int16
from tests.unit.rtc.stage import IDLE_FRAMES, Stage, turn_of, wave_of

DECAY_SAMPLES = PLAYBACK_RATE * 5 // 1000


def test_idle_is_silent_and_moves_on_by_one_pose_a_picture() -> None:
    stage = Stage()
    stage.run(40)
    pictures = [tick.picture for tick in stage.ticks]
    assert all(picture is not None for picture in pictures[0::2])
    assert all(picture is None for picture in pictures[1::2])
    poses = [picture.pose for picture in pictures if picture is not None]
    assert poses == [(n + 1) % IDLE_FRAMES for n in range(20)]
    assert all(picture.pixels is None for picture in pictures if picture is not None)
    assert all(tick.pcm is None for tick in stage.ticks)
    assert stage.observer.poses == poses
    assert stage.observer.told == []


def test_a_turn_waits_until_its_prebuffer_is_there() -> None:
    stage = Stage(prebuffer=3)
    slots = turn_of(1, 10)
    stage.run(4)
    stage.arrive(*slots[:2])
    stage.run(4)
    assert stage.spoken().size == 0
    stage.arrive(slots[2])
    assert stage.tick().spoken is not None


def test_a_turn_does_not_wait_for_its_prebuffer_for_ever() -> None:
    stage = Stage(prebuffer=3)
    stage.arrive(turn_of(1, 10)[0])
    stage.run(2 * 3)
    assert stage.spoken().size == 0
    stage.tick()
    assert stage.spoken().size == PACKET_SAMPLES


def test_a_turn_that_was_dropped_while_it_waited_does_not_shorten_the_next_ones_wait() -> None:
    stage = Stage(prebuffer=4)
    stage.arrive(turn_of(1, 10)[0])
    stage.run(2 * 3)
    stage.interrupt(2)
    stage.arrive(turn_of(2, 10)[0])
    stage.run(2 * 4)
    assert stage.spoken().size == 0
    stage.tick()
    assert stage.spoken().size == PACKET_SAMPLES


def test_a_turn_that_vanished_from_the_ring_does_not_shorten_the_next_ones_wait() -> None:
    stage = Stage(prebuffer=4)
    stage.arrive(turn_of(1, 10)[0])
    stage.run(2 * 3)
    stage.interrupt(2)
    stage.run(2)
    stage.arrive(turn_of(2, 10)[0])
    stage.run(2 * 4)
    assert stage.spoken().size == 0


def test_a_turn_shorter_than_the_prebuffer_starts_at_once() -> None:
    stage = Stage(prebuffer=3)
    stage.arrive(*turn_of(1, 1))
    assert stage.tick().spoken is not None


@pytest.mark.parametrize("idle_packets", [1, 2, 3, 6])
def test_speech_begins_with_the_next_packet_even_in_the_middle_of_an_idle_picture(idle_packets: int) -> None:
    stage = Stage()
    stage.run(idle_packets)
    stage.arrive(*turn_of(1, 4))
    tick = stage.tick()
    assert tick.spoken is not None and tick.picture is not None and tick.picture.pixels is not None
    stage.run(7)
    assert np.array_equal(stage.spoken(), wave_of(1, 4 * PLAYBACK_SAMPLES))
    assert [tick.picture is not None for tick in stage.ticks[idle_packets:]] == [True, False] * 4


@given(
    gaps=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    prebuffer=st.integers(1, 4),
    idle_packets=st.integers(0, 3),
)
def test_every_sample_of_a_turn_goes_out_once_and_in_order_however_it_arrives(
    gaps: list[int], prebuffer: int, idle_packets: int
) -> None:
    stage = Stage(prebuffer)
    slots = turn_of(1, len(gaps))
    stage.run(idle_packets)
    for gap, slot in zip(gaps, slots, strict=True):
        stage.run(gap)
        stage.arrive(slot)
    stage.run(2 * len(slots) + 2 * prebuffer + 4)
    whole = wave_of(1, len(slots) * PLAYBACK_SAMPLES)
    assert np.array_equal(stage.spoken(), whole)
    assert stage.observer.endings() == [("ended", 1, 0, whole.size)]
    assert stage.observer.cursor == (1, 0, whole.size)
    for before, tick in zip(stage.ticks, stage.ticks[1:], strict=False):
        if tick.spoken is None and tick.pcm is not None:  # what is not speech is silence, or leads from speech to it
            assert before.spoken is not None and not tick.pcm[DECAY_SAMPLES:].any()


@given(cut_at=st.integers(1, 11), idle_packets=st.integers(0, 3), wait=st.integers(0, 6))
def test_an_interruption_is_obeyed_at_every_packet(cut_at: int, idle_packets: int, wait: int) -> None:
    stage = Stage()
    stage.run(idle_packets)
    stage.arrive(*turn_of(1, 6))
    stage.run(cut_at)
    heard = cut_at * PACKET_SAMPLES
    stage.interrupt(2)
    stage.run(wait + 1)
    assert np.array_equal(stage.spoken(), wave_of(1, 6 * PLAYBACK_SAMPLES)[:heard])
    assert stage.observer.endings() == [("cut", 1, 0, heard)]
    after = np.concatenate([tick.sound for tick in stage.ticks[idle_packets + cut_at :]])
    assert not after[DECAY_SAMPLES:].any()
    stage.arrive(*turn_of(2, 3))
    assert stage.tick().spoken is not None
    stage.run(9)
    assert np.array_equal(stage.spoken()[heard:], wave_of(2, 3 * PLAYBACK_SAMPLES))
    assert stage.observer.endings()[1:] == [("ended", 2, 0, 3 * PLAYBACK_SAMPLES)]


def test_a_next_turn_that_already_waits_begins_with_the_packet_after_the_interruption() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 6))
    stage.run(4)
    stage.arrive(*turn_of(2, 6))
    stage.interrupt(2)
    stage.run(2)
    spoken = stage.spoken()
    assert np.array_equal(spoken[: 4 * PACKET_SAMPLES], wave_of(1, 4 * PACKET_SAMPLES))
    assert np.array_equal(spoken[4 * PACKET_SAMPLES :], wave_of(2, 2 * PACKET_SAMPLES))
    assert stage.observer.told[-2:] == [("fragment", 2, 0), ("progress", 2, 0, PACKET_SAMPLES)]
    assert stage.observer.endings() == [("cut", 1, 0, 4 * PACKET_SAMPLES)]


def test_an_interruption_after_the_last_packet_cuts_nothing() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 3))
    stage.run(6)
    stage.interrupt(2)
    stage.run(6)
    assert stage.observer.endings() == [("ended", 1, 0, 3 * PLAYBACK_SAMPLES)]


def test_an_interruption_of_idle_is_not_reported() -> None:
    stage = Stage()
    stage.run(3)
    stage.interrupt(4)
    stage.run(3)
    assert stage.observer.told == []


def test_a_turn_that_is_cut_when_nobody_ticks_is_settled_from_outside() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 3))
    stage.run(3)
    stage.interrupt(2)
    stage.playout.settle()
    stage.playout.settle()
    assert stage.observer.endings() == [("cut", 1, 0, 3 * PACKET_SAMPLES)]
    assert not stage.playout.speaking


def test_a_starved_turn_is_silent_and_idle_and_then_goes_on_where_it_was() -> None:
    stage = Stage()
    slots = turn_of(1, 5)
    stage.arrive(*slots[:2])
    stage.run(4)
    starved = [stage.tick() for _ in range(6)]
    assert stage.playout.speaking and stage.playout.starved == 3
    assert all(tick.spoken is None for tick in starved)
    assert [tick.picture.pose for tick in starved if tick.picture] == [5, 6, 0, 1]  # the first lasts 20 ms
    assert stage.observer.endings() == []
    stage.arrive(*slots[2:])
    stage.run(1)  # of the last idle picture
    stage.run(6)
    assert np.array_equal(stage.spoken(), wave_of(1, 5 * PLAYBACK_SAMPLES))


def test_the_fragments_of_a_turn_are_announced_with_their_first_sample_and_counted_apart() -> None:
    stage = Stage()
    one, two = turn_of(1, 2)
    info = SlotInfo(1, SlotFlags.FRAGMENT_START | SlotFlags.TURN_END, 0, 700)
    stage.arrive(one, AVSlot(1, info, two.pose, two.pcm, two.frame))
    cursors = []
    for _ in range(4):
        stage.tick()
        cursors.append(stage.observer.cursor)
    assert cursors == [(1, 0, 960), (1, 0, 1920), (1, 1, 700), (1, 1, 700)]  # padding is not heard
    assert [entry for entry in stage.observer.told if entry[0] != "progress"] == [
        ("fragment", 1, 0),
        ("fragment", 1, 1),
        ("ended", 1, 1, 700),
    ]


def test_progress_is_told_once_a_second() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 2 * FPS + 3))
    stage.run(2 * (2 * FPS + 3))
    told = [entry[3] for entry in stage.observer.told if entry[0] == "progress"]
    assert told == [PACKET_SAMPLES + second * PLAYBACK_RATE for second in range(3)]


def test_the_picture_falls_back_to_the_idle_face_over_one_between_them_that_lasts_one_packet() -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 2))
    stage.run(4)
    stage.run(6)
    assert [tick.picture is not None for tick in stage.ticks[4:]] == [True, True, False, True, False, True]
    between, *idle = [tick.picture for tick in stage.ticks[4:] if tick.picture is not None]
    assert between is not None and between.pixels is not None
    assert 170 > int(between.pixels[0, 0]) > 60
    assert all(picture is not None and picture.pixels is None for picture in idle)


@pytest.mark.parametrize("packets", range(2, 10))
def test_a_cut_changes_the_picture_with_the_next_packet_whatever_is_left_of_the_one_on_show(packets: int) -> None:
    stage = Stage()
    stage.arrive(*turn_of(1, 6))
    stage.run(packets)
    stage.interrupt(2)
    stage.run(6)
    pictures = [tick.picture for tick in stage.ticks[packets:]]
    assert [picture is not None for picture in pictures] == [True, True, False, True, False, True]
    assert pictures[0] is not None and pictures[0].pixels is not None
    assert int(pictures[0].pixels[0, 0]) < 170  # no picture of the old turn, whole
    assert all(picture.pixels is None for picture in pictures[1:] if picture is not None)


def test_the_head_goes_on_from_where_speech_left_it() -> None:
    stage = Stage()
    stage.run(3)
    stage.arrive(*turn_of(1, 4, first_pose=5))
    stage.run(20)
    poses = stage.observer.poses
    speech = poses.index(5)
    assert poses[speech:] == [(5 + n) % IDLE_FRAMES for n in range(len(poses) - speech)]
    assert stage.playout.pose == poses[-1]


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_a_picture_stays_untouched_while_the_next_five_are_made(depth: int) -> None:
    stage = Stage()
    slots = turn_of(1, 8)
    for shade, slot in enumerate(slots):
        stage.arrive(AVSlot(1, slot.info, slot.pose, slot.pcm, np.full_like(slot.frame, 100 + shade)))
    stage.run(16)
    stage.run(1)  # the fallback picture comes from the same buffers
    pictures = [tick.picture for tick in stage.ticks if tick.picture is not None]
    stage = Stage()
    for shade, slot in enumerate(slots):
        stage.arrive(AVSlot(1, slot.info, slot.pose, slot.pcm, np.full_like(slot.frame, 100 + shade)))
    made = []
    for n in range(len(pictures)):
        stage.run(2)
        picture = stage.ticks[-2].picture
        assert picture is not None and picture.pixels is not None
        made.append((picture.pixels, picture.pixels.copy()))
        if n >= depth:
            kept, copy = made[n - depth]
            assert np.array_equal(kept, copy)


@given(frequency=st.integers(80, 3000), phase=st.floats(0, 6.28), cut_at=st.integers(1, 7))
def test_where_sound_stops_in_mid_wave_no_step_is_larger_than_the_waves_own(
    frequency: int, phase: float, cut_at: int
) -> None:
    time = np.arange(4 * PLAYBACK_SAMPLES) / PLAYBACK_RATE
    wave = (12_000 * np.sin(2 * np.pi * frequency * time + phase)).astype(np.int16)
    stage = Stage()
    stage.arrive(*turn_of(1, 4, wave))
    stage.run(cut_at)
    stage.interrupt(2)
    stage.run(4)
    steps = np.abs(np.diff(stage.sound().astype(int)))
    own = int(np.abs(np.diff(wave.astype(int))).max())
    assert steps[cut_at * PACKET_SAMPLES - 1 :].max() <= max(own, 12_000 // DECAY_SAMPLES + 1)


def test_a_starved_buffer_decays_as_a_cut_does() -> None:
    stage = Stage(prebuffer=1)
    wave = np.full(2 * PLAYBACK_SAMPLES, 9_600, np.int16)
    stage.arrive(turn_of(1, 2, wave)[0])
    stage.run(2)
    decay, silence = stage.tick().sound, stage.tick().pcm
    steps = np.abs(np.diff(decay.astype(int), prepend=9_600))
    assert steps.max() <= 9_600 // DECAY_SAMPLES + 1  # of rounding
    assert not decay[DECAY_SAMPLES:].any() and silence is None


@given(
    story=st.lists(st.tuples(st.sampled_from(["slot", "tick", "interrupt", "speak"]), st.integers(1, 4)), max_size=60),
    prebuffer=st.integers(1, 3),
)
def test_whatever_happens_each_turn_that_sounded_ends_once_with_what_was_handed_out(
    story: list[tuple[str, int]], prebuffer: int
) -> None:
    stage = Stage(prebuffer)
    generation = 0
    owed: list[AVSlot] = []
    spoken: dict[int, list[Int16]] = {}

    def tick() -> None:
        tick = stage.tick()
        if tick.spoken is not None:
            spoken.setdefault(stage.observer.cursor[0], []).append(tick.spoken)
            assert stage.observer.cursor[0] == stage.source.generation  # nothing stale

    for what, times in story:
        if what == "speak":
            generation += 1
            owed = turn_of(generation, times)
            stage.interrupt(generation)
        elif what == "interrupt":
            generation += 1
            owed = []
            stage.interrupt(generation)
        elif what == "slot":
            stage.arrive(*owed[:times])
            owed = owed[times:]
        else:
            for _ in range(times):
                tick()
    stage.interrupt(generation + 1)
    for _ in range(2):
        tick()
    endings = stage.observer.endings()
    assert [entry[1] for entry in endings] == sorted(spoken)
    for _, number, _, sample in endings:
        sound = np.concatenate(spoken[number])
        assert sound.size == sample
        assert np.array_equal(sound, wave_of(number, sample))

"""The media clock, with a time of its own."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from opentalking.rtc.clock import PACKET_S, MediaClock, Metronome


class Time:
    """Seconds that pass only when somebody sleeps or works; `late` is how much too long each sleep takes."""

    def __init__(self) -> None:
        self.now_s = 5000.0
        self.late: list[float] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds + (self.late.pop(0) if self.late else 0.0)

    def work(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(time: Time) -> MediaClock:
    return MediaClock(time.now, time.sleep)


async def test_the_first_packet_is_due_at_once_and_the_next_every_20_ms(clock: MediaClock, time: Time) -> None:
    start, due = time.now_s, []
    for _ in range(100):
        await clock.tick()
        due.append(time.now_s - start)
    assert due == pytest.approx([n * PACKET_S for n in range(100)])


async def test_packets_are_numbered_without_gaps_through_stalls(clock: MediaClock, time: Time) -> None:
    numbers = []
    for n in range(20):
        numbers.append(await clock.tick())
        time.work(0.3 if n % 7 == 3 else 0.001)
    assert numbers == list(range(20))


async def test_work_between_packets_does_not_delay_them(clock: MediaClock, time: Time) -> None:
    start = time.now_s
    for _ in range(50):
        await clock.tick()
        time.work(0.009)
    await clock.tick()
    assert time.now_s - start == pytest.approx(50 * PACKET_S)


async def test_being_woken_late_never_adds_up(clock: MediaClock, time: Time) -> None:
    start = time.now_s
    await clock.tick()
    time.late = [0.004] * 200
    for number in range(1, 201):
        await clock.tick()
        assert time.now_s - start == pytest.approx(number * PACKET_S + 0.004)
    assert clock.stalls == 0


async def test_a_lateness_of_less_than_a_packet_is_made_good(clock: MediaClock, time: Time) -> None:
    start = time.now_s
    await clock.tick()
    time.work(PACKET_S + 0.015)
    await clock.tick()
    await clock.tick()
    assert time.now_s - start == pytest.approx(2 * PACKET_S)
    assert clock.stalls == 0


async def test_a_stall_moves_the_origin_by_its_lateness(clock: MediaClock, time: Time) -> None:
    await clock.tick()
    time.work(PACKET_S + 0.5)
    await clock.tick()
    moved = time.now_s
    assert clock.stalls == 1 and clock.stalled_s == pytest.approx(0.5)
    for number in range(1, 5):
        await clock.tick()
        assert time.now_s == pytest.approx(moved + number * PACKET_S)


@pytest.mark.parametrize("asleep", [False, True], ids=["while working", "while waiting for the packet"])
async def test_no_packets_are_sent_in_a_burst_after_a_stall(clock: MediaClock, time: Time, asleep: bool) -> None:
    times = []
    for n in range(10):
        await clock.tick()
        times.append(time.now_s)
        if n == 4:
            if asleep:
                time.late = [1.0]
            else:
                time.work(1.0)
    gaps = [after - before for before, after in pairwise(times[5:])]
    assert gaps == pytest.approx([PACKET_S] * 4)
    assert clock.stalls == 1


@pytest.mark.parametrize("phase_s", [0.0, 0.003, 0.0099, 0.0101, 0.019])
async def test_clocks_that_start_at_any_moment_tick_on_one_grid(clock: MediaClock, time: Time, phase_s: float) -> None:
    grid = time.now_s
    time.work(phase_s)
    await clock.tick()
    for _ in range(5):
        await clock.tick()
        steps = (time.now_s - grid) / PACKET_S
        assert steps == pytest.approx(round(steps))
        assert time.now_s - grid >= 0.5 * PACKET_S


@pytest.mark.parametrize("stall_s", [0.021, 0.111, 0.509, 1.234])
async def test_a_clock_is_on_the_grid_again_after_a_stall_and_hurries_by_half_a_packet_at_most(
    clock: MediaClock, time: Time, stall_s: float
) -> None:
    grid = time.now_s
    await clock.tick()
    time.work(PACKET_S + stall_s)
    await clock.tick()
    stalled_until = time.now_s
    await clock.tick()
    assert 0.49 * PACKET_S < time.now_s - stalled_until < 1.51 * PACKET_S
    steps = (time.now_s - grid) / PACKET_S
    assert steps == pytest.approx(round(steps))


async def test_media_time_passes_between_packets(clock: MediaClock, time: Time) -> None:
    assert clock.elapsed_s() == 0.0
    await clock.tick()
    time.work(0.0123)
    assert clock.elapsed_s() == pytest.approx(0.0123)


async def test_all_who_wait_for_a_step_are_woken_by_one_timer() -> None:
    metronome, loop = Metronome(), asyncio.get_running_loop()
    timers = 0
    call_later = loop.call_later

    def counted(*args: Any, **options: Any) -> asyncio.TimerHandle:
        nonlocal timers
        timers += 1
        return call_later(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "call_later", counted)
        clocks = [MediaClock(sleep=metronome.sleep) for _ in range(8)]
        first = asyncio.gather(*(ticks(clock, 3) for clock in clocks))
        await first
    assert timers <= 4  # the start of all eight may straddle a step


async def test_a_sleeper_that_is_cancelled_leaves_the_others_to_be_woken() -> None:
    metronome = Metronome()
    leaving, staying = (asyncio.create_task(metronome.sleep(0.02)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait_for(staying, 20)
    assert leaving.cancelled()


async def ticks(clock: MediaClock, count: int) -> None:
    for _ in range(count):
        await clock.tick()

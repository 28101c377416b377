"""The media clock, with a time of its own."""

from __future__ import annotations

from itertools import pairwise

import pytest

from opentalking.rtc.clock import PACKET_S, MediaClock


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

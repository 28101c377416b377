"""kill -9 of the writer and of the reader at random moments: the survivor goes on with a successor as if nothing were.

Each life of the victim is a process of its own, started, left to work at full speed against the survivor (this
process), and killed at a random moment: mostly after some records, sometimes while it still starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from shm import Consumer, Producer
from tests.proof.mortal import RECORDS, Diary, Doing
from tests.proof.records import seed

ROOT = Path(__file__).resolve().parents[2]
LIVES = 120  # of the writer, and as many of the reader
STILLBORN = 0.15  # share of the lives that end somewhere in their start
START_S = 0.15
MOST_RECORDS = 60  # in a life, before its last moments begin
LAST_MOMENTS_S = 0.003
FILES = {"ring", "ring.data", "ring.space", "diary"}
DEADLINE_S = 30

pytestmark = pytest.mark.proof


class Wakes:
    """What wakes the survivor: its doorbell, as it wakes a worker, and the victim's death."""

    def __init__(self, end: Consumer | Producer) -> None:
        self._end, self._rang = end, asyncio.Event()
        end.listen(self.look)

    def look(self, *_: object) -> None:
        self._end.depth  # noqa: B018 - reading it empties the doorbell
        self._rang.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not done():
                await self._rang.wait()
                self._rang.clear()


class Victim:
    """The end of a ring that lives in other processes, one after the other."""

    def __init__(self, role: str, folder: Path, chance: random.Random) -> None:
        self.diary = Diary(folder / "diary")
        self.died: Counter[Doing] = Counter()
        self._role, self._folder, self._chance = role, folder, chance

    async def live(self, number: int, wakes: Wakes, work: Callable[[], int]) -> None:
        """One life beside a survivor that works on, before and after; `work` does what there is and says how much."""
        self.diary.begin()
        command = [sys.executable, "-m", "tests.proof.mortal", self._role, str(self._folder), str(number)]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        moments_s = LAST_MOMENTS_S
        if self._chance.random() < STILLBORN:
            moments_s = START_S
        else:
            wanted = work() + self._chance.randrange(1, MOST_RECORDS)
            await wakes.until(lambda: work() >= wanted)
        # a thread, so that the moment does not hang on what the survivor does
        killer = threading.Timer(self._chance.uniform(0, moments_s), process.send_signal, [signal.SIGKILL])
        killer.start()
        death = asyncio.create_task(process.wait())
        death.add_done_callback(wakes.look)
        await wakes.until(lambda: work() < 0 or death.done())
        killer.join()
        assert death.result() == -signal.SIGKILL, "the victim had ended by itself"
        self.died[self.diary.doing] += 1


def words_of(folder: Path) -> tuple[int, int]:
    """(head, tail) as the ring's memory has them."""
    header = (folder / "ring").read_bytes()[:192]
    return struct.unpack_from("<Q", header, 64)[0], struct.unpack_from("<Q", header, 128)[0]


def open_files(folder: Path) -> list[str]:
    """What this process holds open of the ring in `folder`."""
    files = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the descriptor of this very listing
            files.append(os.readlink(f"/proc/self/fd/{fd}"))
    return sorted(file for file in files if file.startswith(f"{folder}/ring"))


async def test_a_killed_writer_loses_repeats_and_tears_nothing(tmp_path):
    chance = random.Random(seed())
    consumer = Consumer(tmp_path / "ring", RECORDS.spec)
    victim, wakes = Victim("producer", tmp_path, chance), Wakes(consumer)
    held, expected, lives_seen, without_a_word = open_files(tmp_path), 0, set(), 0

    def read_all() -> int:
        nonlocal expected
        while (slot := consumer.front()) is not None:
            assert slot.sequence == expected
            assert slot.generation >= max(lives_seen, default=0)
            RECORDS.check(slot)
            lives_seen.add(slot.generation)
            consumer.advance()
            expected += 1
        return expected

    for number in range(LIVES):
        await victim.live(number, wakes, read_all)
        assert not consumer.peer_is_alive
        read_all()
        head, tail = words_of(tmp_path)
        done, doing = victim.diary.done, victim.diary.doing
        assert head == done or (head == done + 1 and doing == Doing.PUBLISHING)
        victim.diary.count(head)
        assert tail == expected and head - expected in (0, 1), "more than the slot without a word is missing"
        without_a_word += head - expected
        assert open_files(tmp_path) == held
    Producer(tmp_path / "ring", RECORDS.spec).close()  # the role is free, and the word of the last slot comes now
    read_all()
    assert expected == words_of(tmp_path)[0]
    consumer.close()
    print(
        f"{LIVES} writers killed, {expected} records, {without_a_word} between head and its word; {dict(victim.died)}"
    )
    assert victim.died[Doing.FILLING] and victim.died[Doing.WAITING]
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert open_files(tmp_path) == []


async def test_a_killed_reader_hands_the_slot_it_held_to_its_successor(tmp_path):
    chance = random.Random(seed())
    producer = Producer(tmp_path / "ring", RECORDS.spec)
    victim, wakes = Victim("consumer", tmp_path, chance), Wakes(producer)
    written = 0

    def write_all() -> int:
        nonlocal written
        while (payload := producer.try_claim()) is not None:
            assert producer.publish(1, RECORDS.write(payload, written, 1)) == written
            written += 1
        return written

    held, released = open_files(tmp_path), 0
    for number in range(LIVES):
        await victim.live(number, wakes, write_all)
        assert not producer.peer_is_alive
        assert victim.diary.first in (None, released), "the successor did not begin at the first slot not released"
        _, released = words_of(tmp_path)
        done, doing = victim.diary.done, victim.diary.doing
        assert released == done or (released == done + 1 and doing == Doing.RELEASING)
        victim.diary.count(released)
        assert written - RECORDS.spec.slots <= released <= written
        assert open_files(tmp_path) == held
    consumer = Consumer(tmp_path / "ring", RECORDS.spec)  # the role is free
    for sequence in range(released, written):
        slot = consumer.front()
        assert slot.sequence == sequence
        RECORDS.check(slot)
        del slot
        consumer.advance()
    assert consumer.front() is None and producer.depth == 0
    consumer.close()
    producer.close()
    print(f"{LIVES} readers killed, {written} records; {dict(victim.died)}")
    assert victim.died[Doing.HOLDING] and victim.died[Doing.WAITING]
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert open_files(tmp_path) == []

"""`python -m tests.proof.mortal producer|consumer FOLDER LIFE`: an end that works at full speed until it is killed.

It keeps a diary in shared memory of its own, which survives it: what it is doing, and what it has done. LIFE counts
the incarnations; a producer publishes it as generation, so that every record tells whose it is.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import sys
from enum import IntEnum
from pathlib import Path

import uvloop

from shm import Consumer, Producer
from tests.proof.records import Records

RECORDS = Records(slots=4, body_bytes=200_000)  # frames: most of the time goes into writing and reading them
NOT_YET = (1 << 64) - 1


class Doing(IntEnum):
    """What an end was doing when it wrote its diary last."""

    STARTING = 0
    ATTACHING = 1
    WAITING = 2
    FILLING = 3
    PUBLISHING = 4
    HOLDING = 5
    RELEASING = 6


class Diary:
    """Words that a killed process leaves: what it was doing, slots done (ever), the first sequence of this life."""

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(fd, mmap.PAGESIZE)
        self._words = memoryview(mmap.mmap(fd, mmap.PAGESIZE)).cast("Q")
        os.close(fd)

    def begin(self) -> None:
        """A new life begins; what was done before stays."""
        self._words[0], self._words[2] = Doing.STARTING, NOT_YET

    def note(self, doing: Doing) -> None:
        self._words[0] = doing

    def count(self, done: int) -> None:
        self._words[1] = done

    def meet(self, sequence: int) -> None:
        if self._words[2] == NOT_YET:
            self._words[2] = sequence

    @property
    def doing(self) -> Doing:
        return Doing(self._words[0])

    @property
    def done(self) -> int:
        return self._words[1]

    @property
    def first(self) -> int | None:
        return None if self._words[2] == NOT_YET else self._words[2]


async def produce(folder: Path, diary: Diary, life: int) -> None:
    ring = Producer(folder / "ring", RECORDS.spec)
    sequence = ring._head  # where the predecessor stopped; from here on publish() must count as we do
    diary.meet(sequence)
    while True:
        diary.note(Doing.WAITING)
        payload = await ring.claim()
        diary.note(Doing.FILLING)
        length = RECORDS.write(payload, sequence, life)
        diary.note(Doing.PUBLISHING)
        assert ring.publish(life, length) == sequence
        sequence += 1
        diary.count(sequence)


async def consume(folder: Path, diary: Diary) -> None:
    ring = Consumer(folder / "ring", RECORDS.spec)
    woken = asyncio.Event()

    def wake() -> None:
        if ring.depth:
            woken.set()

    ring.listen(wake)
    expected = None
    while True:
        if (slot := ring.front()) is None:
            diary.note(Doing.WAITING)
            await woken.wait()
            woken.clear()
            continue
        diary.note(Doing.HOLDING)
        diary.meet(slot.sequence)
        assert expected in (None, slot.sequence), f"sequence {slot.sequence}, expected {expected}"
        RECORDS.check(slot)
        expected = slot.sequence + 1
        diary.note(Doing.RELEASING)
        ring.advance()
        diary.count(expected)


if __name__ == "__main__":
    role, folder = sys.argv[1], Path(sys.argv[2])
    diary = Diary(folder / "diary")
    diary.note(Doing.ATTACHING)
    uvloop.run(produce(folder, diary, int(sys.argv[3])) if role == "producer" else consume(folder, diary))

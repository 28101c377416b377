"""`python -m tests.proof.stress producer|consumer FOLDER SLOTS RECORDS SEED`: one of two processes that race.

The producer fills slots as fast as they come free, each with the board's generation of that moment; both raise the
generation at random. The consumer reads RECORDS records and checks each. Then it raises the generation to LAST, on
which the producer publishes one record of it and ends: the consumer must find that one behind all that is over.

Each prints what it did as JSON; test_stress.py holds the two against each other.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

import uvloop

from shm import Board, Consumer, Producer, Writer
from tests.proof.records import Records

LAST = 1 << 40  # the generation that ends a run
BODY_BYTES = 240  # small, so that the ring is what takes the time


class Raiser:
    """Raises the generation at random, about every `mean` records."""

    def __init__(self, board: Board, mean: int, seed: str) -> None:
        self._board, self._mean = board, mean
        self._random = random.Random(seed)
        self._left = self._next()

    def _next(self) -> int:
        return 1 + int(self._random.expovariate(1 / self._mean))

    def one_record(self) -> None:
        self._left -= 1
        if not self._left:
            self._left = self._next()
            self._board.raise_generation(self._board.generation + 1)


async def produce(ring: Producer, records: Records, board: Board, raiser: Raiser) -> dict[str, Any]:
    """Publish until the generation is LAST; returns how many, and at which sequence each generation began."""
    sequence, generation, waits = 0, -1, 0
    began: list[tuple[int, int]] = []
    while generation < LAST:
        payload = ring.try_claim()
        if payload is None:
            waits += 1
            payload = await ring.claim()
        if board.generation != generation:
            generation = board.generation
            began.append((generation, sequence))
        length = records.write(payload, sequence, generation)
        assert ring.publish(generation, length) == sequence
        sequence += 1
        raiser.one_record()
    return {"published": sequence, "began": began, "waits": waits}


async def consume(ring: Consumer, records: Records, board: Board, raiser: Raiser, count: int) -> dict[str, Any]:
    """Read and check `count` records, then the last; returns what was read, and each skip: (floor, first, end)."""
    woken = asyncio.Event()

    def wake() -> None:
        if ring.depth:
            woken.set()

    ring.listen(wake)
    expected, generation, read, waits = 0, 0, 0, 0
    skipped: list[tuple[int, int, int]] = []
    while generation < LAST:
        floor, fenced = board.generation, ring.fenced
        slot = ring.front(floor)
        if first_skipped := ring.fenced - fenced:
            skipped.append((floor, expected, expected + first_skipped))
            expected += first_skipped
        if slot is None:
            waits += 1
            await woken.wait()
            woken.clear()
            continue
        assert slot.sequence == expected, f"sequence {slot.sequence}, expected {expected}"
        assert slot.generation >= max(floor, generation), f"{slot.generation} after {generation}, floor {floor}"
        records.check(slot)
        generation = slot.generation
        ring.advance()
        expected, read = expected + 1, read + 1
        raiser.one_record()
        if read == count:
            board.raise_generation(LAST)
    return {"read": read, "fenced": ring.fenced, "end": expected, "skipped": skipped, "waits": waits}


async def main(role: str, folder: Path, slots: int, count: int, seed: str) -> dict[str, Any]:
    mean = max(1000, 40 * slots)  # a raise costs at most the ring's content: one record in twenty at most goes unread
    records, path = Records(slots, BODY_BYTES), folder / "ring"
    board = Board(folder / "board", Writer.SPEECH if role == "producer" else Writer.RTC)
    raiser = Raiser(board, mean, seed + role)
    if role == "producer":
        return await produce(Producer(path, records.spec), records, board, raiser)
    return await consume(Consumer(path, records.spec), records, board, raiser, count)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))))

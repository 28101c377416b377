"""An end that dies before any one instruction of the ring leaves a ring that a successor takes over, nothing amiss.

Random kills seldom fall between two stores. Here every place between two instructions of attaching, publishing, taking
and fencing is visited, one after the other.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shm import Consumer, NodeFolder, Producer, reap_nodes
from tests.proof.instructions import FLOOR, RECORDS

ROOT = Path(__file__).resolve().parents[2]
FILES = {"ring", "ring.data", "ring.space"}

pytestmark = pytest.mark.proof


class Mortals:
    """The process that forks the mortal ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proof.instructions"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def dies(self, act: str, path: Path, instruction: int) -> bool:
        """Whether the act was cut short; False when it has no such instruction."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(act, path, instruction, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline().strip()
        assert answer in ("killed", "done"), f"{act} at {instruction}: {answer}"
        return answer == "killed"

    def stop(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture
def mortals() -> Iterator[Mortals]:
    started = Mortals()
    yield started
    started.stop()


def put(producer: Producer, sequence: int, generation: int = FLOOR) -> None:
    payload = producer.try_claim()
    assert payload is not None
    assert producer.publish(generation, RECORDS.write(payload, sequence, generation)) == sequence


def take_all(consumer: Consumer) -> list[int]:
    """Sequences of all whole records that wait; raises Torn at any other."""
    taken = []
    while (slot := consumer.front()) is not None:
        RECORDS.check(slot)
        taken.append(slot.sequence)
        consumer.advance()
    return taken


def works(path: Path, sequence: int) -> None:
    """Both roles can be had, and a full ring of records goes through, beginning with this sequence."""
    producer, consumer = Producer(path, RECORDS.spec), Consumer(path, RECORDS.spec)
    expected = list(range(sequence, sequence + RECORDS.spec.slots))
    for number in expected:
        put(producer, number)
    assert producer.try_claim() is None
    assert take_all(consumer) == expected
    assert producer.depth == 0
    producer.close()
    consumer.close()


@pytest.mark.parametrize("act", ["attach_producer", "attach_consumer"])
def test_who_dies_while_it_makes_a_ring_leaves_no_half_made_one(tmp_path, mortals, act):
    instruction, alive = 0, False
    while not alive:
        folder = tmp_path / "session"
        alive = not mortals.dies(act, folder / "ring", instruction)
        left = {path.name for path in folder.iterdir()} if folder.exists() else set()
        assert left <= FILES, f"left by a death at {instruction}"
        works(folder / "ring", 0)
        shutil.rmtree(folder)
        instruction += 1
    print(f"{act} (and make): {instruction - 1} deaths")
    assert instruction > 100


@pytest.mark.parametrize("act", ["attach_producer", "attach_consumer"])
def test_who_dies_while_it_attaches_changes_nothing(tmp_path, mortals, act):
    path = tmp_path / "ring"
    producer, consumer = Producer(path, RECORDS.spec), Consumer(path, RECORDS.spec)
    for sequence in range(3):
        put(producer, sequence)
    survivor = consumer if act == "attach_producer" else producer
    (producer if act == "attach_producer" else consumer).close()
    instruction = 0
    while mortals.dies(act, path, instruction):
        assert not survivor.peer_is_alive
        assert survivor.depth == 3
        instruction += 1
    survivor.close()
    consumer = Consumer(path, RECORDS.spec)
    assert take_all(consumer) == [0, 1, 2]
    consumer.close()
    works(path, 3)
    print(f"{act}: {instruction} deaths")
    assert instruction > 100


def test_who_dies_while_it_publishes_has_published_all_or_nothing(tmp_path, mortals):
    path = tmp_path / "ring"
    consumer = Consumer(path, RECORDS.spec)
    expected = instruction = unheard = 0
    while mortals.dies("publish", path, instruction):
        assert not consumer.peer_is_alive
        heard = take_all(consumer)
        successor = Producer(path, RECORDS.spec)
        told = take_all(consumer)
        assert heard + told in ([], [expected])
        unheard += len(told)
        expected += len(heard + told)
        put(successor, expected)
        assert take_all(consumer) == [expected]
        assert successor.depth == 0
        successor.close()
        expected += 1
        instruction += 1
    print(f"publish: {instruction} deaths, {unheard} between head and its word")
    assert unheard, "no death fell between the store of head and its word"
    assert instruction > 50


def test_who_dies_while_it_takes_has_released_the_slot_or_not_and_nothing_else(tmp_path, mortals):
    path = tmp_path / "ring"
    producer = Producer(path, RECORDS.spec)
    instruction = sequence = held = released = 0
    alive = False
    while not alive:
        while producer.try_claim() is not None:
            put(producer, sequence)
            sequence += 1
        alive = not mortals.dies("take", path, instruction)
        assert not producer.peer_is_alive
        successor = Consumer(path, RECORDS.spec)
        taken = take_all(successor)
        full = RECORDS.spec.slots
        assert taken in (list(range(sequence - full, sequence)), list(range(sequence - full + 1, sequence)))
        held, released = held + (len(taken) == full), released + (len(taken) < full)
        assert producer.depth == 0
        successor.close()
        instruction += 1
    print(f"take: {instruction - 1} deaths, {held} before the release, {released - 1} after")
    assert held > 50 and released > 1


def test_who_dies_while_it_drops_what_is_over_leaves_the_rest_to_its_successor(tmp_path, mortals):
    path = tmp_path / "ring"
    producer = Producer(path, RECORDS.spec)
    instruction = sequence = 0
    left = set()
    alive = False
    while not alive:
        for _ in range(RECORDS.spec.slots):
            put(producer, sequence, FLOOR - 1)
            sequence += 1
        alive = not mortals.dies("fence", path, instruction)
        successor = Consumer(path, RECORDS.spec)
        taken = take_all(successor)
        assert taken == list(range(sequence - len(taken), sequence))
        left.add(len(taken))
        assert producer.depth == 0
        successor.close()
        instruction += 1
    print(f"fence: {instruction - 1} deaths, {sorted(left)} slots left")
    assert left == set(range(RECORDS.spec.slots + 1))


def test_who_dies_while_it_removes_a_dead_node_leaves_no_session_that_the_next_would_not(tmp_path, mortals):
    root = tmp_path / "opentalking-dead"
    instruction, alive = 0, False
    while not alive:
        node = NodeFolder(root)
        for session in ("sess_1", "sess_2"):
            Producer(node.session(session) / "ring", RECORDS.spec).close()
        node.close()
        alive = not mortals.dies("reap", root, instruction)
        reap_nodes(tmp_path, "opentalking-")
        left = [str(path.relative_to(root)) for path in root.rglob("*")] if root.exists() else []
        assert left == [], f"left for ever by a death at {instruction}"
        instruction += 1
    print(f"reap: {instruction - 1} deaths")
    assert instruction > 100

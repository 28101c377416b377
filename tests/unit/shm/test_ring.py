"""The ring's invariants, in one process where that suffices and with a killed peer where it does not."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm import Consumer, Producer, RingCorrupt, RingSpec, RoleTaken

SPEC = RingSpec(slots=4, slot_bytes=100)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ring"


def put(producer: Producer, payload: bytes, generation: int = 1) -> int:
    slot = producer.try_claim()
    assert slot is not None
    slot[: len(payload)] = payload
    return producer.publish(generation, len(payload))


def take(consumer: Consumer, floor: int = 0) -> bytes | None:
    slot = consumer.front(floor)
    if slot is None:
        return None
    payload = bytes(slot.payload)
    consumer.advance()
    return payload


def test_slots_arrive_in_order_with_their_length_and_generation(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    put(producer, b"one", 7)
    put(producer, b"", 8)
    first = consumer.front()
    assert (first.sequence, first.generation, bytes(first.payload)) == (0, 7, b"one")
    consumer.advance()
    second = consumer.front()
    assert (second.sequence, second.generation, bytes(second.payload)) == (1, 8, b"")


def test_a_slot_may_be_looked_at_many_times_before_it_is_released(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    put(producer, b"x")
    assert consumer.front().sequence == consumer.front().sequence == 0
    assert consumer.depth == 1


def test_a_full_ring_gives_no_slot_until_one_is_released(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    for _ in range(SPEC.slots):
        put(producer, b"x")
    assert producer.try_claim() is None
    take(consumer)
    assert producer.try_claim() is not None


def test_publishing_without_a_free_slot_is_refused(path):
    producer = Producer(path, SPEC)
    for _ in range(SPEC.slots):
        put(producer, b"x")
    with pytest.raises(RuntimeError, match="without a claimed slot"):
        producer.publish(1)


def test_releasing_without_a_slot_is_refused(path):
    consumer = Consumer(path, SPEC)
    with pytest.raises(RuntimeError, match="without a slot"):
        consumer.advance()


def test_older_generations_are_released_unread_and_counted(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    for generation in (1, 1, 2):
        put(producer, b"%d" % generation, generation)
    assert take(consumer, floor=2) == b"2"
    assert consumer.fenced == 2
    assert producer.depth == 0


async def test_a_waiting_producer_is_woken_by_a_release(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    for _ in range(SPEC.slots):
        put(producer, b"x")
    claim = asyncio.create_task(producer.claim())
    await asyncio.sleep(0)
    assert not claim.done()
    take(consumer)
    assert await asyncio.wait_for(claim, 5) is not None


async def test_a_cancelled_wait_leaves_the_producer_usable(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    for _ in range(SPEC.slots):
        put(producer, b"x")
    claim = asyncio.create_task(producer.claim())
    await asyncio.sleep(0)
    claim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claim
    take(consumer)
    await asyncio.wait_for(producer.claim(), 5)
    put(producer, b"after")


async def test_a_listening_consumer_is_woken_by_a_publish(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    woken = asyncio.Event()

    def wake() -> None:
        if consumer.depth:
            woken.set()

    consumer.listen(wake)
    put(producer, b"x")
    await asyncio.wait_for(woken.wait(), 5)
    consumer.close()


async def test_a_successor_that_listens_is_woken_for_what_its_predecessor_left(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    put(producer, b"a")
    assert consumer.depth == 1  # the word is read, the slot is not
    consumer.close()
    consumer = Consumer(path, SPEC)
    woken = asyncio.Event()
    consumer.listen(woken.set)
    await asyncio.wait_for(woken.wait(), 5)
    assert take(consumer) == b"a"
    consumer.close()


def test_more_slots_than_the_doorbell_holds_words_are_all_heard_of(path):
    spec = RingSpec(slots=16_384, slot_bytes=8)
    producer, consumer = Producer(path, spec), Consumer(path, spec)
    for n in range(spec.slots):
        put(producer, b"%d" % n)
    assert [take(consumer) for _ in range(spec.slots)] == [b"%d" % n for n in range(spec.slots)]
    assert producer.depth == 0


def test_two_producers_or_two_consumers_cannot_be_made(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    with pytest.raises(RoleTaken):
        Producer(path, SPEC)
    with pytest.raises(RoleTaken):
        Consumer(path, SPEC)
    assert producer.peer_is_alive and consumer.peer_is_alive
    consumer.close()
    assert not producer.peer_is_alive
    Consumer(path, SPEC)


def test_a_successor_goes_on_where_its_predecessor_stopped(path):
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    put(producer, b"a")
    put(producer, b"b")
    assert take(consumer) == b"a"
    consumer.front()  # held, not released
    consumer.close()
    producer.close()
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    assert take(consumer) == b"b"
    assert put(producer, b"c") == 2
    assert take(consumer) == b"c"


def test_a_ring_of_another_shape_is_refused(path):
    Producer(path, SPEC).close()
    with pytest.raises(ValueError, match=r"holds \d+ bytes"):
        Consumer(path, RingSpec(slots=8, slot_bytes=100))
    with pytest.raises(RingCorrupt, match="expected"):
        Consumer(path, RingSpec(slots=4, slot_bytes=101))


def test_an_end_that_could_not_be_made_keeps_neither_role_nor_descriptors(path):
    Producer(path, SPEC).close()
    header = np.memmap(path, np.uint64, "r+")
    header[8] = 5  # head: five published of a ring of four
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(RingCorrupt, match="head 5, tail 0"):
        Consumer(path, SPEC)
    header[8] = 0
    (path.parent / "ring.space").unlink()
    (path.parent / "ring.space").mkdir()
    with pytest.raises(IsADirectoryError):
        Consumer(path, SPEC)
    (path.parent / "ring.space").rmdir()
    assert len(os.listdir("/proc/self/fd")) == before
    Consumer(path, SPEC)


@pytest.mark.parametrize("slots", [0, 1, 3, 6])
def test_the_number_of_slots_must_be_a_power_of_two(slots):
    with pytest.raises(ValueError, match="power of two"):
        RingSpec(slots, 10)


def test_a_full_shared_memory_is_an_error_when_the_ring_is_made(path):
    with pytest.raises(OSError):
        Producer(path, RingSpec(slots=2, slot_bytes=1 << 45))
    assert list(path.parent.iterdir()) == []


def test_a_view_that_outlives_its_ring_stays_readable(path):
    producer = Producer(path, SPEC)
    view = np.frombuffer(producer.try_claim(), np.uint8)
    view[:3] = 7
    producer.close()
    assert view[:3].tolist() == [7, 7, 7]
    Producer(path, SPEC)  # and does not keep the role


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.tuples(st.just("put"), st.integers(1, 5)), st.tuples(st.just("take"), st.integers(1, 5)))))
def test_any_interleaving_equals_a_bounded_queue_with_a_fence(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("ring") / "ring"
    producer, consumer = Producer(path, SPEC), Consumer(path, SPEC)
    model: deque[tuple[int, bytes]] = deque()
    generation = 1
    try:
        for number, (step, value) in enumerate(steps):
            if step == "put":
                generation = max(generation, value)
                payload = b"%d" % number
                if len(model) == SPEC.slots:
                    assert producer.try_claim() is None
                else:
                    put(producer, payload, generation)
                    model.append((generation, payload))
            else:
                while model and model[0][0] < value:
                    model.popleft()
                assert take(consumer, value) == (model.popleft()[1] if model else None)
            assert producer.depth == consumer.depth == len(model)
    finally:
        producer.close()
        consumer.close()


PEER = textwrap.dedent(
    """
    import sys, pathlib
    from shm import Consumer, Producer, RingSpec
    role, path = sys.argv[1], pathlib.Path(sys.argv[2])
    spec = RingSpec(slots=4, slot_bytes=100)
    if role == "producer":
        end = Producer(path, spec)
        slot = end.try_claim(); slot[:1] = b"a"; end.publish(1, 1)
        end.try_claim()[:4] = b"torn"          # claimed and half written, never published
    else:
        end = Consumer(path, spec)
        end.front()                            # held, never released
    print("ready", flush=True)
    sys.stdin.read()
    """
)


def start_peer(role: str, path) -> subprocess.Popen:
    peer = subprocess.Popen(
        [sys.executable, "-c", PEER, role, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert peer.stdout.readline() == "ready\n"
    return peer


def kill(peer: subprocess.Popen) -> None:
    os.kill(peer.pid, signal.SIGKILL)
    peer.wait(10)
    peer.stdin.close()
    peer.stdout.close()


def test_a_producer_killed_while_it_writes_leaves_only_what_it_published(path):
    peer = start_peer("producer", path)
    consumer = Consumer(path, SPEC)
    with pytest.raises(RoleTaken):
        Producer(path, SPEC)
    kill(peer)
    assert not consumer.peer_is_alive
    assert take(consumer) == b"a"
    assert take(consumer) is None
    producer = Producer(path, SPEC)
    assert put(producer, b"b") == 1
    assert take(consumer) == b"b"


def test_a_consumer_killed_while_it_reads_gives_the_slot_to_its_successor(path):
    producer = Producer(path, SPEC)
    put(producer, b"a")
    peer = start_peer("consumer", path)
    kill(peer)
    consumer = Consumer(path, SPEC)
    assert take(consumer) == b"a"
    assert producer.depth == 0


def test_space_is_told_a_quarter_of_the_ring_at_a_time(path):
    spec = RingSpec(slots=16, slot_bytes=100)
    producer, consumer = Producer(path, spec), Consumer(path, spec)
    for number in range(16):
        put(producer, bytes([number]))
    for number in range(3):
        assert take(consumer) == bytes([number])
        assert producer.try_claim() is None
        assert producer.depth == 15 - number  # what memory says may be looked at at any time
    take(consumer)
    for number in range(4):
        put(producer, bytes([number]))
    assert producer.try_claim() is None
    producer.close(), consumer.close()


async def test_a_producer_that_waits_for_space_is_woken_for_a_quarter_of_the_ring(path):
    spec = RingSpec(slots=8, slot_bytes=100)
    producer, consumer = Producer(path, spec), Consumer(path, spec)
    for number in range(8):
        put(producer, bytes([number]))
    waiting = asyncio.create_task(producer.claim())
    take(consumer)
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    take(consumer)
    await asyncio.wait_for(waiting, 20)
    producer.publish(1)
    put(producer, b"second")
    producer.close(), consumer.close()


def test_a_consumer_that_follows_tells_what_its_predecessor_had_not_told_yet(path):
    spec = RingSpec(slots=16, slot_bytes=100)
    producer, consumer = Producer(path, spec), Consumer(path, spec)
    for number in range(16):
        put(producer, bytes([number]))
    take(consumer)
    consumer.close()
    assert producer.try_claim() is None
    successor = Consumer(path, spec)
    assert producer.try_claim() is not None
    producer.close(), successor.close()


def test_all_that_the_fence_drops_can_be_claimed_but_for_less_than_a_quarter(path):
    spec = RingSpec(slots=16, slot_bytes=100)
    producer, consumer = Producer(path, spec), Consumer(path, spec)
    for _ in range(7):
        put(producer, b"old")
    for _ in range(9):
        put(producer, b"new", generation=2)
    assert take(consumer, floor=2) == b"new"
    claimed = 0
    while producer.try_claim() is not None:
        producer.publish(2)
        claimed += 1
    assert claimed == 8
    producer.close(), consumer.close()


def test_a_slot_that_a_successor_claimed_stays_claimed_when_an_older_word_arrives(path):
    spec = RingSpec(slots=16, slot_bytes=100)
    producer, consumer = Producer(path, spec), Consumer(path, spec)
    for number in range(16):
        put(producer, bytes([number]))
    for _ in range(7):
        take(consumer)  # four were told, memory says seven
    producer.close()
    successor = Producer(path, spec)
    for number in range(6):
        put(successor, bytes([number]))
    assert successor.try_claim() is not None
    assert successor.depth == 15  # the older word is heard now
    assert successor.publish(1, 0) == 22
    successor.close(), consumer.close()

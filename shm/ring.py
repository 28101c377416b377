"""A ring of fixed slots between one producer process and one consumer process.

    header (one page)                                    slots (a power of two of them)
    ┌──────────────┬───────────┬───────────┐             ┌──────────┬──────────┬─ ─ ─┬──────────┐
    │ magic, slots,│ head      │ tail      │             │ slot 0   │ slot 1   │     │ slot n-1 │
    │ slot bytes   │ (producer)│ (consumer)│             └──────────┴──────────┴─ ─ ─┴──────────┘
    └──────────────┴───────────┴───────────┘             each: sequence │ generation │ length │ payload
    0              64          128                       4096

head = number of slots ever published, tail = number ever released; slot of sequence s lies at s mod n. Each is written
by one side only. The payload of slots [tail, head) belongs to the consumer, of [head, tail + n) to the producer.

The life of one slot:

    producer   claim()  ──fill──>  publish(): slot header, then head, then the word `head+1` into the data doorbell
    consumer   the word arrives ──> front(): a view ──> advance(): tail, then the word into the space doorbell

Order matters twice. The consumer never trusts `head` in memory: it learns the sequence from the word, and the pipe's
mutex orders the producer's stores before the consumer's loads (doorbell.py). The same holds the other way round for
`tail`: a slot is refilled only after the word that freed it. head and tail in memory are for the one case where no
word comes: a peer that attaches after its predecessor died reads them once, behind a global barrier (barrier.py).

Death. A producer killed before publish() has not published: its successor claims the same slot again. Killed between
head and the word: the successor rings with the head it finds. A consumer killed before advance() has not released: its
successor reads the slot again. It may have read the words of slots that it left unread, too: its successor's listen()
wakes at once if any wait. A killed peer's role lock is dropped by the kernel, so its successor can take the role
(segment.py). Nothing is ever torn, lost or leaked; at worst a slot is delivered twice, which its sequence shows.

Generation. Every slot carries one, and front(floor) releases, unread, whatever is older than `floor`: to silence a
session is to raise an integer, wherever its slots happen to be.

Waiting. A producer in front of a full ring awaits space (back-pressure to whoever feeds it); a consumer either listens
to the data doorbell or, if it is clocked (rtc), looks at its own pace. Nobody spins and nobody polls with a sleep.
Space is told a quarter of the ring at a time: a producer that is ahead wakes once for several slots and fills them
while its code and data are in the cache (a sixth of the cost of rendering a frame, docs/promises.md).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shm.barrier import global_barrier, join_barriers
from shm.doorbell import Doorbell
from shm.segment import Segment

MAGIC: Final = b"OTRING01"
HEADER_BYTES: Final = 4096
_PREAMBLE = struct.Struct("<8sQQ")  # magic, slots, payload bytes a slot
_SLOT_HEADER = struct.Struct("<QQQ")  # sequence, generation, payload length
SLOT_HEADER_BYTES: Final = 64  # the header's share of a slot: a cache line, so that payloads are aligned
_HEAD_WORD: Final = 64 // 8
_TAIL_WORD: Final = 128 // 8
_PRODUCER, _CONSUMER = 0, 1  # lock bytes


class RingCorrupt(Exception):
    """The ring's memory contradicts itself: it was not made by this code, or written by a stranger."""


@dataclass(frozen=True, slots=True)
class RingSpec:
    """Size of a ring: `slots` (a power of two) of `slot_bytes` payload each."""

    slots: int
    slot_bytes: int

    def __post_init__(self) -> None:
        if self.slots < 2 or self.slots & (self.slots - 1):
            raise ValueError(f"slots must be a power of two, not {self.slots}")
        if self.slot_bytes < 1:
            raise ValueError("slot_bytes must be positive")

    @property
    def stride(self) -> int:
        return SLOT_HEADER_BYTES + (self.slot_bytes + 63) // 64 * 64

    @property
    def segment_bytes(self) -> int:
        return HEADER_BYTES + self.slots * self.stride


@dataclass(frozen=True, slots=True)
class Slot:
    """A published slot. `payload` is a view on shared memory: valid until the consumer's advance()."""

    sequence: int
    generation: int
    payload: memoryview


class _End:
    """What producer and consumer share: the mapped ring, its words and its two doorbells."""

    def __init__(self, path: Path, spec: RingSpec, role: int) -> None:
        def initialise(memory: memoryview) -> None:
            _PREAMBLE.pack_into(memory, 0, MAGIC, spec.slots, spec.slot_bytes)

        join_barriers()
        self.spec = spec
        self._segment = Segment(path, spec.segment_bytes, initialise)
        try:
            magic, slots, slot_bytes = _PREAMBLE.unpack_from(self._segment.memory, 0)
            if (magic, slots, slot_bytes) != (MAGIC, spec.slots, spec.slot_bytes):
                raise RingCorrupt(f"{path}: {magic!r} with {slots} slots of {slot_bytes} bytes, expected {spec}")
            self._segment.take_role(role)
            self._words = self._segment.memory[:HEADER_BYTES].cast("Q")
            self._head, self._tail = self._recover()
            self._data = Doorbell(path.with_name(path.name + ".data"))
            try:
                self._space = Doorbell(path.with_name(path.name + ".space"))
            except BaseException:
                self._data.close()
                raise
        except BaseException:
            self._segment.close()  # or this process would hold the role of a ring it does not have
            raise
        self._other_role = 1 - role
        self._payloads = [
            self._segment.memory[(at := self._offset(i)) : at + spec.slot_bytes] for i in range(spec.slots)
        ]

    def _offset(self, sequence: int) -> int:
        """Where the payload of this sequence's slot begins."""
        return HEADER_BYTES + (sequence & (self.spec.slots - 1)) * self.spec.stride + SLOT_HEADER_BYTES

    def _payload(self, sequence: int) -> memoryview:
        return self._payloads[sequence & (self.spec.slots - 1)]

    def _recover(self) -> tuple[int, int]:
        """(head, tail) as the previous incarnations left them."""
        head, tail = self._words[_HEAD_WORD], self._words[_TAIL_WORD]
        global_barrier()
        if not 0 <= head - tail <= self.spec.slots:
            raise RingCorrupt(f"{self._segment.path}: head {head}, tail {tail}, {self.spec.slots} slots")
        return head, tail

    @property
    def peer_is_alive(self) -> bool:
        """Whether a live process holds the other end."""
        return self._segment.role_is_held(self._other_role)

    def close(self) -> None:
        """Give up the role and unmap; the ring itself stays for the peer and a successor."""
        self._data.close()
        self._space.close()
        self._words.release()
        for payload in self._payloads:
            payload.release()
        self._segment.close()


class Producer(_End):
    """The writing end. Not safe for use from several threads."""

    def __init__(self, path: Path, spec: RingSpec) -> None:
        super().__init__(path, spec, _PRODUCER)
        self._data.ring(self._head)  # a predecessor may have died between head and its word
        self._waiter: asyncio.Future[None] | None = None

    def _hear(self) -> None:
        freed = self._space.read()
        if freed is not None:
            self._tail = max(self._tail, freed)  # memory, read when attaching, may be ahead of the word

    @property
    def depth(self) -> int:
        """Slots published and not yet released: to look at, not to claim by (memory says it before the word does)."""
        self._hear()
        return self._head - self._words[_TAIL_WORD]

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the running loop when slots were released; it must look at depth. Excludes claim()."""
        self._space.listen(wake)

    def try_claim(self) -> memoryview | None:
        """The next slot's payload to fill, or None when the ring is full."""
        if self._is_full():
            self._hear()
            if self._is_full():
                return None
        return self._payload(self._head)

    def _is_full(self) -> bool:
        return self._head - self._tail >= self.spec.slots

    async def claim(self) -> memoryview:
        """The next slot's payload; waits for the consumer while the ring is full."""
        while (payload := self.try_claim()) is None:
            self._waiter = asyncio.get_running_loop().create_future()
            self._space.listen(self._space_rang)
            try:
                await self._waiter
            finally:
                self._space.unlisten()
                self._waiter = None
        return payload

    def _space_rang(self) -> None:
        self._hear()
        if not self._is_full() and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def publish(self, generation: int, length: int | None = None) -> int:
        """Hand the claimed slot over; `length` bytes of it (default: all) are meant. Returns its sequence."""
        length = self.spec.slot_bytes if length is None else length
        if self._is_full():
            raise RuntimeError("publish without a claimed slot")
        if not 0 <= length <= self.spec.slot_bytes:
            raise ValueError(f"length {length} does not fit a slot of {self.spec.slot_bytes} bytes")
        sequence = self._head
        header_at = self._offset(sequence) - SLOT_HEADER_BYTES
        _SLOT_HEADER.pack_into(self._segment.memory, header_at, sequence, generation, length)
        self._head = sequence + 1
        self._words[_HEAD_WORD] = self._head
        self._data.ring(self._head)
        return sequence


class Consumer(_End):
    """The reading end. Not safe for use from several threads."""

    def __init__(self, path: Path, spec: RingSpec) -> None:
        super().__init__(path, spec, _CONSUMER)
        self._quarter = max(1, spec.slots // 4)
        self._space.ring(self._tail)
        self.fenced = 0  # slots dropped unread because their generation was over

    def _hear(self) -> None:
        published = self._data.read()
        if published is not None:
            self._head = max(self._head, published)  # as above

    @property
    def depth(self) -> int:
        """Slots waiting, of any generation."""
        self._hear()
        return self._head - self._tail

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` now if slots wait, and in the running loop when they come; it must look at front() or depth."""
        self._data.listen(wake)
        if self._tail < self._head:  # found when attaching: the predecessor may have read their words, and died
            wake()

    def front(self, floor: int = 0) -> Slot | None:
        """The oldest slot whose generation is at least `floor`, still held; older ones are released unread."""
        self._hear()
        while self._tail < self._head:
            sequence, generation, length = _SLOT_HEADER.unpack_from(
                self._segment.memory, self._offset(self._tail) - SLOT_HEADER_BYTES
            )
            if sequence != self._tail:
                raise RingCorrupt(f"{self._segment.path}: slot says sequence {sequence}, expected {self._tail}")
            if generation >= floor:
                return Slot(sequence, generation, self._payload(sequence)[:length])
            self.fenced += 1
            self.advance()
        return None

    def advance(self) -> None:
        """Release the front slot: its payload may be overwritten from now on."""
        if self._tail >= self._head:
            raise RuntimeError("advance without a slot")
        self._tail += 1
        self._words[_TAIL_WORD] = self._tail
        if self._tail % self._quarter == 0:
            self._space.ring(self._tail)

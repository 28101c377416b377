"""One session's turns between the device's thread, the connection's loop and a thread that decodes.

    infer ──> Connection.hear ══> server ══> drawn ──> decoding thread ──> predictions ──> collect
      └── counts what is owed ──────────────── can_take ──────────────────────┘

A turn is one utterance: begun by its first sound, ended by the driver, or lost. After a reset nothing of the turns
before is left, whatever still comes in for them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from opentalking.models.adapter import ModelError
from opentalking.models.remote.connection import Connection, Listener
from opentalking.models.remote.pictures import decode_jpeg
from opentalking.models.remote.wire import Geometry, WireError
from opentalking.types import FRAME_MS, MODEL_SAMPLES, Int16, UInt8

FADE_FRAMES = 3  # from the idle picture into speech, and back


@dataclass(slots=True, eq=False)
class Turn:
    """`slots` of 40 ms were handed over; of so many the picture is `decoded`, and `collected`."""

    number: int
    slots: int = 0
    decoded: int = 0
    collected: int = 0
    ended: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Prediction:
    """The picture of a turn's slot, I420 of the avatar's size."""

    turn: Turn
    slot: int
    picture: UInt8

    @property
    def share(self) -> float:
        """How much of it is to be seen over the idle picture: less at a turn's beginning and at its end, if known."""
        steps = self.slot + 1
        if self.turn.ended:
            steps = min(steps, self.turn.slots - self.slot)
        return min(1.0, steps / (FADE_FRAMES + 1))


class RemoteStream(Listener):
    """What one session carries. `capacity` bounds what is owed: slots handed over and not collected."""

    def __init__(self, size: tuple[int, int], capacity: int, noted: Callable[[Geometry], None]) -> None:
        self._size = size
        self._capacity = capacity
        self._noted = noted
        self._connection: Connection | None = None
        self._wake: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._turn = Turn(0)
        self._turns: dict[int, Turn] = {0: self._turn}  # not yet collected in full
        self._ready: deque[Prediction | ModelError] = deque()
        self._decoder = ThreadPoolExecutor(1, "decode")
        self._newest: tuple[bytes, UInt8] | None = None
        self._spoilt = -1  # turn of which a picture could not be decoded

    # ---- the driver's side

    def connect(self, connection: Connection) -> None:
        self._connection = connection

    def listen(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def hear(self, pcm: Int16) -> None:
        """Hand over 40 ms of sound, int16 (640,)."""
        with self._lock:
            turn = self._turn
            if turn.lost:
                return
            turn.slots += 1
        self._connected.hear(turn.number, pcm)

    def end(self) -> None:
        """The turn was said in full; the next sound begins another."""
        with self._lock:
            turn = self._turn
            if not turn.slots:
                return
            turn.ended = True
            if turn.lost or turn.collected == turn.slots:
                del self._turns[turn.number]
            self._begin(turn.number + 1)
        self._connected.end(turn.number)

    def reset(self) -> None:
        with self._lock:
            if not self._turn.slots and len(self._turns) == 1 and not self._ready:
                return
            self._turns.clear()
            self._ready.clear()
            self._begin(self._turn.number + 1)
            number = self._turn.number
        self._connected.forget(number)

    def can_take(self) -> bool:
        with self._lock:
            owed = sum(turn.slots - turn.collected for turn in self._turns.values() if not turn.lost)
            return self._turn.lost or owed < self._capacity

    def arrived(self) -> bool:
        with self._lock:
            return bool(self._ready)

    def collect(self) -> list[Prediction]:
        """What is ready, in order. Raises ModelError for a turn that is lost, after what came of it before."""
        found: list[Prediction] = []
        with self._lock:
            while self._ready and not isinstance(self._ready[0], ModelError):
                prediction = self._ready.popleft()
                assert isinstance(prediction, Prediction)
                found.append(prediction)
                self._count(prediction.turn)
            if not found and self._ready and isinstance(error := self._ready.popleft(), ModelError):
                raise error
        return found

    def close(self) -> None:
        self._connected.close()
        self._decoder.shutdown(wait=False, cancel_futures=True)

    @property
    def _connected(self) -> Connection:
        assert self._connection is not None
        return self._connection

    def _begin(self, number: int) -> None:
        self._turn = self._turns[number] = Turn(number)

    def _count(self, turn: Turn) -> None:
        turn.collected += 1
        if turn.ended and turn.collected == turn.slots:
            self._turns.pop(turn.number, None)

    # ---- the connection's side

    def opened(self, geometry: Geometry) -> None:
        with self._lock:
            self._capacity = capacity_of(geometry)
        self._noted(geometry)
        self._wake()

    def drawn(self, turn: int, jpegs: list[bytes]) -> None:
        for jpeg in jpegs:
            self._submit(self._decode, turn, jpeg)

    def lost(self, turn: int, error: ModelError) -> None:
        self._submit(self._lose, turn, error)

    def _submit(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            self._decoder.submit(call, *arguments)
        except RuntimeError:
            return  # closed meanwhile

    # ---- the decoding thread

    def _decode(self, number: int, jpeg: bytes) -> None:
        if number not in self._turns or number == self._spoilt:
            return
        try:
            if self._newest is None or self._newest[0] is not jpeg:  # a slower server's picture stays for several slots
                self._newest = jpeg, decode_jpeg(jpeg, *self._size)
        except WireError as error:
            self._spoilt = number
            self._connected.give_up(number, str(error))
            return
        with self._lock:
            turn = self._turns.get(number)
            if turn is None or turn.lost:
                return
            self._ready.append(Prediction(turn, turn.decoded, self._newest[1]))
            turn.decoded += 1
        self._wake()

    def _lose(self, number: int, error: ModelError) -> None:
        with self._lock:
            turn = self._turns.get(number)
            if turn is None or turn.lost:
                return
            turn.lost = True
            if turn.ended:
                del self._turns[number]
            self._ready.append(error)
        self._wake()


def capacity_of(geometry: Geometry) -> int:
    """Slots that may be owed: what is on its way, the message that is being filled, and the server's look-ahead."""
    return (geometry.pipeline + 1) * chunk_slots(geometry) + -(-geometry.lookahead_ms // FRAME_MS) + 1


def chunk_slots(geometry: Geometry) -> int:
    """Slots of sound from the beginning of one until its picture exists: a message, and if that is not whole slots,
    half a slot more, because a slot shows the picture of its middle."""
    samples = geometry.chunk_samples
    uneven = samples % MODEL_SAMPLES != 0
    return -(-(samples + uneven * MODEL_SAMPLES // 2) // MODEL_SAMPLES)


def declared_ms(geometry: Geometry) -> tuple[int, int]:
    """(chunk_ms, lookahead_ms) of the ModelAdapter. What a server takes in parts waits for nothing but its look-ahead;
    messages that are not whole slots end nowhere twice in the same place of a slot, so all of one is look-ahead."""
    if geometry.partial:
        return FRAME_MS, -(-geometry.lookahead_ms // FRAME_MS) * FRAME_MS
    if geometry.chunk_samples % MODEL_SAMPLES == 0:
        return chunk_slots(geometry) * FRAME_MS, 0
    return FRAME_MS, (chunk_slots(geometry) - 1) * FRAME_MS

"""A turn's sound, which comes by 40 ms, cut into messages of the size that a server takes.

The size is only known once a server has answered; until then sound waits here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from opentalking.types import Int16


@dataclass(frozen=True, slots=True)
class Message:
    """Sound to send: int16 (samples,), the first `real` of them spoken, and whether it is its turn's last."""

    turn: int
    pcm: Int16
    real: int
    last: bool


@dataclass(slots=True)
class _Turn:
    number: int
    parts: deque[Int16] = field(default_factory=deque)
    samples: int = 0
    ended: bool = False


class Chunker:
    """Turns in, messages out, in order. Not safe for threads: it belongs to the connection's loop."""

    def __init__(self) -> None:
        self._turns: deque[_Turn] = deque()

    def hear(self, turn: int, pcm: Int16) -> None:
        if not self._turns or self._turns[-1].number != turn:
            self._turns.append(_Turn(turn))
        self._turns[-1].parts.append(pcm)
        self._turns[-1].samples += len(pcm)

    def end(self, turn: int) -> None:
        if not self._turns or self._turns[-1].number != turn:
            self._turns.append(_Turn(turn))
        self._turns[-1].ended = True

    def forget(self) -> None:
        """Drop what has not been taken, of all turns."""
        self._turns.clear()

    @property
    def turns(self) -> list[int]:
        """Turns of which something is still to be taken."""
        return [turn.number for turn in self._turns]

    def take(self, size: int, partial: bool, idle: bool) -> Message | None:
        """The next message of `size` samples, or None if it is not complete yet.

        Strict servers (`partial` false) get the last one filled up with silence. The others get it as long as it is,
        and while they have nothing to do (`idle`) whatever there is, so that the first picture does not wait."""
        if not self._turns:
            return None
        turn = self._turns[0]
        if turn.samples < size and not turn.ended and not (partial and idle and turn.samples):
            return None
        real = min(size, turn.samples)
        pcm = _cut(turn.parts, real)
        turn.samples -= real
        last = turn.ended and not turn.samples
        if last:
            self._turns.popleft()
        if real and not partial and real < size:
            pcm = np.concatenate([pcm, np.zeros(size - real, np.int16)])
        return Message(turn.number, pcm, real, last)


def _cut(parts: deque[Int16], samples: int) -> Int16:
    """Take so many samples from the front of `parts`."""
    taken = []
    while samples:
        part = parts.popleft()
        if len(part) > samples:
            parts.appendleft(part[samples:])
            part = part[:samples]
        taken.append(part)
        samples -= len(part)
    return np.concatenate(taken) if taken else np.zeros(0, np.int16)

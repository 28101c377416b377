"""The media clock: packet n is due at t0 + n · 20 ms, on the monotonic clock; t0 lies on a grid of 20 ms.

    deadlines   |----|----|----|----|----|----|----|----|
    woken       ^    ^    ^    ^         ^    ^    ^         stalled here for more than a packet:
    origin      t0 ──────────────────┘   t0 moves by the lateness; no packet is sent in a burst to catch up

Deadlines are absolute, so being woken a little late never adds up. Both tracks count in packets of this clock, so a
moved origin moves sound and picture together.

All clocks of a process share the grid, and the metronome wakes those that wait for the same step with one timer: a
wake-up on a machine that was asleep costs more than a session's work, and the second session finds the code in the
cache (figures: docs/promises.md).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from opentalking.types import PACKET_MS

PACKET_S = PACKET_MS / 1000


class Metronome:
    """One timer for all who wait for the same step of the grid."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[asyncio.Future[None]]] = {}

    async def sleep(self, seconds: float) -> None:
        """Until the step of the grid that is nearest to so many seconds from now."""
        loop = asyncio.get_running_loop()
        step = round((time.monotonic() + seconds) / PACKET_S)
        if step not in self._waiting:
            self._waiting[step] = []
            loop.call_later(seconds, self._strike, step)
        reached = loop.create_future()
        self._waiting[step].append(reached)
        await reached

    def _strike(self, step: int) -> None:
        for reached in self._waiting.pop(step):
            if not reached.done():
                reached.set_result(None)


class MediaClock:
    """Paces one session. `now` (seconds, monotonic) and `sleep` can be injected: time is tested without waiting."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._origin: float | None = None
        self._next = 0
        self.stalls = 0  # times the origin moved
        self.stalled_s = 0.0  # by how much in all

    def elapsed_s(self) -> float:
        """The media time now: what a packet that were due at this instant would carry. 0 before the first."""
        return 0.0 if self._origin is None else self._now() - self._origin

    async def tick(self) -> int:
        """Wait for the next packet's deadline; returns its number, from 0, without gaps."""
        number = self._next
        self._next += 1
        now = self._now()
        if self._origin is None:
            self._origin = _on_grid(now)
            return number
        due = self._origin + number * PACKET_S
        if now < due:
            await self._sleep(due - now)
            now = self._now()  # a process stalls mostly while it waits
        late = now - due
        if late > PACKET_S:
            moved = _on_grid(late)
            self._origin += moved
            self.stalls += 1
            self.stalled_s += moved
        return number


def _on_grid(seconds: float) -> float:
    return round(seconds / PACKET_S) * PACKET_S

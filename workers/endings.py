"""Waiting for turns to be over, in a worker that was told to stop and does not make them itself.

inference or rtc                          speech
     │── WindUp(turn) ──────────────────────>│   the sentence that is being heard ends
     │<── generation raised above turn ──────│
     │    (or the bound: raised by ourselves)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from opentalking.store import Session, Store, StoreError, UnknownSession, WindUp


class Endings:
    """`heard` is told every generation that this process hears of."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, tuple[int, asyncio.Event]] = {}  # session: turn, set when it is over

    def heard(self, session_id: str, generation: int) -> None:
        turn, over = self._waiting.get(session_id, (generation, None))
        if over is not None and generation > turn:
            over.set()

    async def wait(self, sessions: Sequence[Session], bound_s: float) -> None:
        """Until the turns in progress there have ended with a sentence; after `bound_s` they are cut."""
        for session in sessions:
            if session.turn:
                self._waiting[session.session_id] = session.turn, asyncio.Event()
        speaking = [session for session in sessions if session.turn]
        with contextlib.suppress(TimeoutError, StoreError):
            async with asyncio.timeout(bound_s):
                await asyncio.gather(*(self._wind_up(session) for session in speaking))
        for session in speaking:
            with contextlib.suppress(StoreError):
                await self._store.next_generation(session.session_id, only=session.turn)

    async def _wind_up(self, session: Session) -> None:
        session_id, (turn, over) = session.session_id, self._waiting[session.session_id]
        await self._store.send(session.speech_worker, WindUp(session_id, turn))
        with contextlib.suppress(UnknownSession):
            if await self._store.generation(session_id) == turn:  # else it ended before we listened
                await over.wait()

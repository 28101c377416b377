"""The commands of a worker: of one session one after the other, sessions independently of each other.

A command whose answer was lost on the way to Redis is sent again and can so arrive twice: the second is dropped. The
same turn (generation) or the same offer (request) is never handled twice by one process; what a process before this one
had handled, the session itself knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from opentalking.store import Chat, Close, Command, Offer, Preview, Speak, StoreError

log = logging.getLogger(__name__)

_REMEMBERED = 8  # commands of a session that a repetition is looked for in

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Mailboxes:
    """`put` never waits; `handle(command)` may, and `done(entry_id)` is called after it."""

    def __init__(
        self, handle: Callable[[Command], Awaitable[None]], done: Callable[[str], Awaitable[None]], spawn: Spawn
    ) -> None:
        self._handle = handle
        self._done = done
        self._spawn = spawn
        self._queues: dict[str, asyncio.Queue[tuple[str, Command]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def sessions(self) -> set[str]:
        """Sessions that have a mailbox now."""
        return set(self._queues)

    def put(self, command: Command, entry_id: str = "") -> None:
        """`entry_id`: where it stands in the stream; empty for one that this process gives itself."""
        session_id = command.session_id
        if session_id not in self._tasks:
            self._queues[session_id] = asyncio.Queue()
            self._tasks[session_id] = self._spawn(self._handle_in_order(session_id))
        self._queues[session_id].put_nowait((entry_id, command))

    async def close(self) -> None:
        """Stop where they are; what was not handled stays in the stream for the next incarnation."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _handle_in_order(self, session_id: str) -> None:
        queue = self._queues[session_id]
        before: deque[Command] = deque(maxlen=_REMEMBERED)
        while True:
            entry_id, command = await queue.get()
            if command in before:
                log.info("%s for %s came twice", type(command).__name__, session_id)
            else:
                await self._try(command)
            if isinstance(command, Speak | Chat | Offer | Preview):
                before.append(command)
            if entry_id:
                with contextlib.suppress(StoreError):  # it stays in the stream: the next incarnation will see it again
                    await self._done(entry_id)
            if isinstance(command, Close) and queue.empty():
                del self._queues[session_id], self._tasks[session_id]
                return

    async def _try(self, command: Command) -> None:
        name = type(command).__name__
        try:
            await self._handle(command)
        except StoreError as error:
            log.error("%s for %s: %s", name, command.session_id, error)
        except Exception:
            log.exception("%s for %s failed", name, command.session_id)

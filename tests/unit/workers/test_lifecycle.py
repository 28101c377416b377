"""The life all workers share: what Redis is told of them is never older than what it was told before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opentalking.config import Settings
from opentalking.store import Command, Session, Store, WorkerBeat
from shm import NodeFolder
from workers.lifecycle import Worker


class Idle:
    """A worker's own part that does nothing."""

    sessions: Mapping[str, object] = {}

    def info(self) -> dict[str, Any]:
        return {}

    async def start(self) -> None: ...
    async def warm(self) -> None: ...
    async def open(self, session: Session) -> None: ...
    async def handle(self, command: Command) -> None: ...
    def raise_generation(self, session_id: str, generation: int) -> None: ...
    async def close(self, session_id: str, reason: str) -> None: ...
    async def drain(self, sessions: Sequence[Session], bound_s: float) -> None: ...
    async def stop(self) -> None: ...


class SlowConnection:
    """The Store, whose first heartbeat is held up on its way until `release`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sent = asyncio.Event()
        self.release = asyncio.Event()

    async def beat(self, beat: WorkerBeat, ttl_s: float) -> None:
        if not self.sent.is_set():
            self.sent.set()
            await self.release.wait()
        await self._store.beat(beat, ttl_s)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_a_heartbeat_that_was_held_up_does_not_take_readiness_back(store: Store, tmp_path: Path) -> None:
    slow = SlowConnection(store)
    worker = Worker("rtc", Settings(node="here"), slow, NodeFolder(tmp_path))  # type: ignore[arg-type]
    loading = asyncio.create_task(worker._beat(Idle()))
    await slow.sent.wait()
    worker._ready = True
    ready = asyncio.create_task(worker._beat(Idle()))
    await asyncio.wait([ready], timeout=0.2)  # an unordered one is through by now
    slow.release.set()
    await asyncio.gather(loading, ready)
    assert [beat.info["ready"] for beat in await store.workers()] == [True]

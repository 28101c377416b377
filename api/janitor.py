"""The janitor: ends sessions that nobody serves or wants any more, and forgets workers that fell silent.

Every API process has one, one at a time works (a lease in Redis). A worker counts as gone when it was missing for
GONE_S: by its heartbeat, or, on this node, by the lock that the kernel takes from a dead process, which is seconds
sooner. Not at once: a worker that is restarted is back within that time, and after an outage of Redis itself all
heartbeats are missing for a moment.

    killed ── lock free ── respawned (50 ms), lock taken (0.1 s) ──> nothing happens, its sessions are opened again
         └─── lock free ────────────────────── GONE_S ──> its sessions end with worker_lost:<role>
A session without a browser is ended by its rtc worker; here only if that failed to, hence IDLE_MARGIN_S later.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from api.routes.sessions import send_close
from opentalking.store import ROLES, Session, Store, StoreError
from shm.presence import is_present

log = logging.getLogger(__name__)

SWEEP_S = 0.5
GONE_S = 1.2
LEASE_S = 4.0
IDLE_MARGIN_S = 10.0
CLOSING_S = 5.0  # an API process that died between two steps left it so
LEASE = "janitor"


class Janitor:
    """`run` for ever, or `sweep` once."""

    def __init__(
        self, store: Store, idle_timeout_s: float, node: Path | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`node`: this node's folder in shared memory, named after it; None: its processes are not looked at."""
        self._store = store
        self._node = node
        self._now = now
        self._idle_timeout_s = idle_timeout_s
        self._owner = secrets.token_hex(6)
        self._missing: dict[str, float] = {}  # worker: since when

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self.sweep()
                except StoreError as error:
                    self._missing.clear()
                    log.warning("sweep: %s", error)
                except Exception:
                    log.exception("sweep failed; the next one may not")
                await asyncio.sleep(SWEEP_S)
        finally:
            with suppress(StoreError):  # it runs out by itself
                await self._store.release_lease(LEASE, self._owner)

    async def sweep(self) -> None:
        """One round, if it is this process's turn."""
        if not await self._store.hold_lease(LEASE, self._owner, LEASE_S):
            self._missing.clear()
            return
        sessions, silent = await self._store.list_sessions(), await self._store.silent_workers()
        alive = {worker.worker for worker in await self._store.workers()}
        missing = {worker for session in sessions for worker in session.workers if worker not in alive}
        missing |= set(silent) - alive
        missing |= {worker for worker in alive if self._is_dead(worker)}
        gone = self._missing_for_long(missing)
        for session in sessions:
            await self._look_after(session, gone)
        for worker in gone:
            log.warning("worker %s is gone", worker)
            await self._store.forget_worker(worker)

    def _is_dead(self, worker: str) -> bool:
        """Whether the process is of this node, once held its lock, and does not any more."""
        if self._node is None:
            return False
        node, _, name = worker.rpartition(":")
        return self._node.name == f"opentalking-{node}" and is_present(self._node, name) is False

    def _missing_for_long(self, missing: set[str]) -> set[str]:
        now = self._now()
        self._missing = {worker: self._missing.get(worker, now) for worker in missing}
        return {worker for worker, since in self._missing.items() if now - since >= GONE_S}

    async def _look_after(self, session: Session, gone: set[str]) -> None:
        idle_s = time.time() - session.last_active_at
        lost = [role for role, worker in zip(ROLES, session.workers, strict=True) if worker in gone]
        if lost:
            await self._lost(session, lost[0], gone)
        elif session.state == "closing" and idle_s > CLOSING_S:
            await self._end(session, "client")
        elif session.peer != "connected" and idle_s > self._idle_timeout_s + IDLE_MARGIN_S:
            await self._end(session, "idle_timeout")

    async def _lost(self, session: Session, role: str, gone: set[str]) -> None:
        message = f"the {role} worker of this session is gone"
        await self._store.set_error(session.session_id, "worker_lost", message)
        await self._store.emit(session.session_id, "error", {"code": "worker_lost", "message": message})
        if await self._store.end_session(session.session_id, "error", f"worker_lost:{role}"):
            log.warning("session %s ended: %s", session.session_id, message)
        survivors = tuple(worker for worker in session.workers if worker not in gone)
        await send_close(self._store, survivors, session.session_id, f"worker_lost:{role}")

    async def _end(self, session: Session, reason: str) -> None:
        await self._store.next_generation(session.session_id)
        await send_close(self._store, session.workers, session.session_id, reason)
        if await self._store.end_session(session.session_id, "closed", reason):
            log.info("session %s ended: %s", session.session_id, reason)

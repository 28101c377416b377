"""What every worker does besides its work: be found, take commands, hear of interrupts, come back, and go.

    start ──> heartbeat ──> service.start() ──> adopt the sessions placed on it ──> commands, interrupts, housekeeping
                                                                                   │
    SIGTERM ──> no more commands ──> service.stop() ──> a last heartbeat, not ready <──┘

A worker has a name that survives it (`node:role-n`): an incarnation that follows a crash finds its sessions by that
name and opens them again. A turn that was in progress is over then: its generation is raised, nothing of it plays on.
A worker that was told to stop may be coming back too: its last heartbeat keeps its sessions until it runs out.

Commands of one session are handled one after the other, sessions independently of each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Protocol

import uvloop

from opentalking.config import Settings, settings
from opentalking.store import (
    Close,
    Command,
    Interrupt,
    Open,
    Resync,
    Role,
    Session,
    Store,
    StoreError,
    UnknownSession,
    WorkerBeat,
)
from shm import NodeFolder, reap_nodes

log = logging.getLogger(__name__)

BEAT_S = 1.0
HOUSEKEEPING_S = 10.0


class Service(Protocol):
    """A worker's own part. `sessions` is keyed by session id; its values know nothing of the life-cycle."""

    @property
    def sessions(self) -> Mapping[str, object]: ...
    def info(self) -> dict[str, Any]: ...
    async def start(self) -> None: ...
    async def open(self, session: Session) -> None: ...
    async def handle(self, command: Command) -> None: ...
    def raise_generation(self, session_id: str, generation: int) -> None: ...
    async def close(self, session_id: str, reason: str) -> None: ...
    async def stop(self) -> None: ...


class Worker:
    """One process's life. `run` returns after SIGTERM or SIGINT."""

    def __init__(self, role: Role, config: Settings, store: Store, node: NodeFolder) -> None:
        self.role: Role = role
        self.config = config
        self.store = store
        self.node = node
        number = os.environ.get("OPENTALKING_WORKER_NUMBER", "0")
        self.id = f"{config.node}:{role}-{number}"
        self._incarnation = secrets.token_hex(4)
        self._started_at = time.time()
        self._mailboxes: dict[str, asyncio.Queue[tuple[str, Command]]] = {}
        self._handlers: dict[str, asyncio.Task[None]] = {}
        self._ready = False
        self._beating = asyncio.Lock()

    async def run(self, service: Service) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await self._beat(service)  # before anything heavy is loaded: sessions may be waiting for it to come back
        tasks = [self._spawn(self._keep_beating(service))]
        try:
            await service.start()
            await self._adopt(service)
            self._ready = True
            await self._beat(service)  # known at once, not with the next beat
            gc.collect()
            gc.freeze()  # what was loaded stays: no collection need walk it while media flows
            log.info("%s is ready", self.id)
            for part in (self._take_commands, self._follow_interrupts, self._keep_house):
                tasks.append(self._spawn(part(service)))
            await stopping.wait()
        finally:
            self._ready = False
            for task in (*tasks[1:], *self._handlers.values()):
                task.cancel()
            await service.stop()
            tasks[0].cancel()
            await asyncio.gather(*tasks, *self._handlers.values(), return_exceptions=True)
            await self._beat(service)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(_die_loudly)
        return task

    async def _keep_beating(self, service: Service) -> None:
        while True:
            await self._beat(service)
            await asyncio.sleep(BEAT_S)

    async def _beat(self, service: Service) -> None:
        async with self._beating:  # one after the other: an older beat on a slower connection must not come last
            beat = WorkerBeat(
                worker=self.id,
                role=self.role,
                node=self.config.node,
                pid=os.getpid(),
                incarnation=self._incarnation,
                started_at=self._started_at,
                sessions=len(service.sessions),
                capacity=self.config.max_sessions,
                info={"ready": self._ready, "tasks": len(asyncio.all_tasks()), **service.info()},
            )
            try:
                await self.store.beat(beat, self.config.worker_ttl_s)
            except StoreError as error:
                log.warning("heartbeat: %s", error)

    async def _adopt(self, service: Service) -> None:
        for session in await self.store.sessions_of(self.id):
            await self._open(service, session)
            if session.turn and session.session_id in service.sessions:
                await self._give_up_turn(service, session)

    async def _give_up_turn(self, service: Service, session: Session) -> None:
        """End the turn that was in progress, unless another has followed it already."""
        message = f"the {self.role} worker was restarted; this turn is lost"
        error = {"session_id": session.session_id, "code": "WORKER_RESTARTED", "message": message}
        await self.store.emit(session.session_id, "error", error)
        generation = await self.store.next_generation(session.session_id, only=session.turn)
        service.raise_generation(session.session_id, generation)

    async def _open(self, service: Service, session: Session) -> None:
        if session.session_id in service.sessions or session.ended or session.state == "closing":
            return
        try:
            await service.open(session)
            await self.store.mark_ready(session.session_id, self.role)
        except Exception as error:  # whatever a model, a file or a full /dev/shm may say: this session alone ends
            log.exception("cannot open %s", session.session_id)
            await self.fail_session(session, "OPEN_FAILED", f"{self.role}: {error}")

    async def fail_session(self, session: Session, code: str, message: str) -> None:
        """End a session with an error that its client and its hash can read."""
        data = {"session_id": session.session_id, "code": code, "message": message}
        await self.store.set_error(session.session_id, code, message)
        await self.store.emit(session.session_id, "error", data)
        await self.end_session(session, "error", code.lower())

    async def end_session(self, session: Session, state: Any, reason: str) -> None:
        """End a session for good and tell its three workers (this one too)."""
        if await self.store.end_session(session.session_id, state, reason):
            for worker in session.workers:
                await self.store.send(worker, Close(session.session_id, reason))

    async def _take_commands(self, service: Service) -> None:
        async for entry_id, command in self.store.commands(self.id):
            session_id = command.session_id
            if session_id not in self._handlers:
                self._mailboxes[session_id] = asyncio.Queue()
                self._handlers[session_id] = self._spawn(self._handle_in_order(service, session_id))
            self._mailboxes[session_id].put_nowait((entry_id, command))

    async def _handle_in_order(self, service: Service, session_id: str) -> None:
        mailbox = self._mailboxes[session_id]
        while True:
            entry_id, command = await mailbox.get()
            try:
                await self._handle(service, command)
            except StoreError as error:
                log.error("%s for %s: %s", type(command).__name__, session_id, error)
            except Exception:
                log.exception("%s for %s failed", type(command).__name__, session_id)
            with contextlib.suppress(StoreError):  # it stays in the stream: the next incarnation will see it again
                await self.store.done(self.id, entry_id)
            if isinstance(command, Close) and mailbox.empty():
                del self._mailboxes[session_id], self._handlers[session_id]
                return

    async def _handle(self, service: Service, command: Command) -> None:
        if isinstance(command, Open):
            session = await self.store.get_session(command.session_id)
            if session is not None:
                await self._open(service, session)
        elif isinstance(command, Close):
            await self._close(service, command.session_id, command.reason)
        else:
            await service.handle(command)

    async def _close(self, service: Service, session_id: str, reason: str) -> None:
        if session_id in service.sessions:
            await service.close(session_id, reason)
        self.node.remove_session(session_id)

    async def _follow_interrupts(self, service: Service) -> None:
        async for interrupt in self.store.interrupts():
            try:
                if isinstance(interrupt, Resync):
                    for session_id in list(service.sessions):
                        generation = await self.store.generation(session_id)
                        if session_id in service.sessions:
                            service.raise_generation(session_id, generation)
                elif interrupt.session_id in service.sessions:
                    await self._interrupt(service, interrupt)
            except UnknownSession as error:
                log.info("interrupt: %s", error)
            except StoreError as error:
                log.warning("interrupt: %s", error)

    async def _interrupt(self, service: Service, interrupt: Interrupt) -> None:
        """Obey; one that came by hand, without a number, the rtc worker numbers, and it comes back as an order."""
        if interrupt.generation is not None:
            service.raise_generation(interrupt.session_id, interrupt.generation)
        elif self.role == "rtc":
            await self.store.next_generation(interrupt.session_id)

    async def _keep_house(self, service: Service) -> None:
        """Let go of what has ended without telling us, and of what nobody owns in shared memory."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            folders = self.node.session_folders()
            try:
                live = {session.session_id for session in await self.store.list_sessions()}
            except StoreError as error:
                log.warning("housekeeping: %s", error)
                continue
            for session_id in set(service.sessions) - live:
                await self._close(service, session_id, "ended")
            for session_id in set(folders) - live:
                self.node.remove_session(session_id)


def _die_loudly(task: asyncio.Task[None]) -> None:
    """A part of the life-cycle that fails takes the process with it; the supervisor starts a whole one."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("worker part failed", exc_info=error)
        os._exit(70)


async def _main(role: Role, make: Any) -> None:
    config = settings()
    logging.basicConfig(level=config.log_level, format=f"%(asctime)s {role} %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "aioice", "aiortc", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    reap_nodes(Path("/dev/shm"), "opentalking-")
    node = NodeFolder(config.shm_root)
    store = await Store.connect(config.redis_url or "redis://127.0.0.1:6379/0")
    worker = Worker(role, config, store, node)
    try:
        await worker.run(make(worker))
    finally:
        await store.close()
        node.close()


def run_worker(role: Role, make: Any) -> None:
    """Run a worker process until it is told to stop. `make(worker)` returns its Service."""
    uvloop.run(_main(role, make))

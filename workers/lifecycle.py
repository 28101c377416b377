"""What every worker does besides its work: be found, take commands, hear of interrupts, come back, and go.

    start ──> heartbeat ──> tell who was hurt ──> service.start() ──> open the sessions placed on it
                                                                                │
              ready <── service.warm() <── commands, interrupts, housekeeping <─┘
                │
    SIGTERM ──> not ready, no more commands ──> service.drain() ──> service.stop() ──> a last heartbeat

A worker has a name that survives it (`node:role-n`): an incarnation that follows a crash finds its sessions by that
name and opens them again. A turn that the process had begun with is over then: its generation is raised, nothing of it
plays on, and its client is told before anything heavy is loaded.

A worker that is told to stop takes no new turns (its sessions are marked, the API refuses) and lets the sentences that
are being heard end, for at most `drain_s`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import signal
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol, cast

from opentalking.config import Settings
from opentalking.plugins import load_class
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
from shm import Board, NodeFolder, Writer
from workers.endings import Endings
from workers.mailboxes import Mailboxes

log = logging.getLogger(__name__)

BEAT_S = 1.0
HOUSEKEEPING_S = 10.0


class Service(Protocol):
    """A worker's own part. `sessions` is keyed by session id; its values know nothing of the life-cycle."""

    @property
    def sessions(self) -> Mapping[str, object]: ...
    def info(self) -> dict[str, Any]: ...
    async def start(self) -> None:
        """Load what it takes to open sessions and to take their commands."""

    async def warm(self) -> None:
        """Load the rest, so that the first turn of a new session does not wait for it."""

    async def open(self, session: Session) -> None: ...
    async def handle(self, command: Command) -> None: ...
    def raise_generation(self, session_id: str, generation: int) -> None: ...
    async def close(self, session_id: str, reason: str) -> None: ...
    async def drain(self, sessions: Sequence[Session], bound_s: float) -> None:
        """Return when no turn of these sessions is heard any more, after `bound_s` at the latest."""

    async def stop(self) -> None: ...


class Worker:
    """One process's life. `run` returns after SIGTERM or SIGINT."""

    def __init__(self, role: Role, config: Settings, store: Store, node: NodeFolder, number: str = "0") -> None:
        self.role: Role = role
        self.config = config
        self.store = store
        self.node = node
        self.endings = Endings(store)
        self.id = f"{config.node}:{role}-{number}"
        self._incarnation = secrets.token_hex(4)
        self._started_at = time.time()
        self._ready = False
        self._beating = asyncio.Lock()

    async def run(self, target: str) -> None:
        """Live, with the service that `module:Class` names."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await self._beat(None)
        await self._tell_the_hurt()
        service = await self._load(target)
        mailboxes = Mailboxes(lambda command: self._handle(service, command), self._done, self._spawn)
        beating = self._spawn(self._keep_beating(service))
        tasks: list[asyncio.Task[None]] = []
        try:
            await service.start()
            await self._adopt(service)
            taking = self._spawn(self._take_commands(mailboxes))
            keeping = self._spawn(self._keep_house(service, mailboxes))
            tasks += [taking, keeping, self._spawn(self._follow_interrupts(service))]
            await service.warm()
            await self._tell_readiness(service, True)
            gc.collect()
            gc.freeze()  # what was loaded stays: no collection need walk it while media flows
            log.info("%s is ready", self.id)
            await stopping.wait()
            taking.cancel()
            keeping.cancel()
            await self._drain(service)
        finally:
            self._ready = False
            for task in tasks:
                task.cancel()
            await mailboxes.close()
            await service.stop()
            beating.cancel()
            await asyncio.gather(*tasks, beating, return_exceptions=True)
            await self._beat(service)

    async def _load(self, target: str) -> Service:
        """In a thread: however long the imports take on a busy machine, heartbeats do not wait for them."""
        beating = self._spawn(self._keep_beating(None))
        make = await asyncio.to_thread(load_class, target)
        beating.cancel()
        return cast(Service, make(self))

    async def _done(self, entry_id: str) -> None:
        await self.store.done(self.id, entry_id)

    async def _drain(self, service: Service) -> None:
        """Go without a word cut off: no new turns, and those that are heard may end with their sentence."""
        await self._tell_readiness(service, False)
        try:
            sessions = [one for one in await self.store.sessions_of(self.id) if one.session_id in service.sessions]
            await asyncio.gather(*(self.store.unready(one.session_id, self.role) for one in sessions))
        except StoreError as error:
            log.warning("draining: %s", error)
            return
        await service.drain(sessions, self.config.drain_s)

    async def _tell_readiness(self, service: Service, ready: bool) -> None:
        self._ready = ready
        await self._beat(service)  # known at once, not with the next beat

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(_die_loudly)
        return task

    async def _keep_beating(self, service: Service | None) -> None:
        while True:
            await self._beat(service)
            await asyncio.sleep(BEAT_S)

    async def _beat(self, service: Service | None) -> None:
        async with self._beating:  # one after the other: an older beat on a slower connection must not come last
            beat = WorkerBeat(
                worker=self.id,
                role=self.role,
                node=self.config.node,
                pid=os.getpid(),
                incarnation=self._incarnation,
                started_at=self._started_at,
                sessions=len(service.sessions) if service else 0,
                capacity=self.config.max_sessions,
                info={"ready": self._ready, "tasks": len(asyncio.all_tasks()), **(service.info() if service else {})},
            )
            try:
                await self.store.beat(beat, self.config.worker_ttl_s)
            except StoreError as error:
                log.warning("heartbeat: %s", error)

    async def _tell_the_hurt(self) -> None:
        """The first thing that an incarnation after a crash does, for those whose turns it lost."""
        for session in await self.store.sessions_of(self.id):
            over = session.turn < session.generation  # by an interrupt, or a sentence that was let end: no error
            if session.turn and not over and self._had_begun(session):
                await self._give_up_turn(session)

    def _had_begun(self, session: Session) -> bool:
        """Whether the process before this one had a part of the turn in hand. One that it never saw goes on."""
        if self.role == "speech":
            return True
        board = Board(self.node.session(session.session_id) / "board", Writer[self.role.upper()])
        reached = board.begun if self.role == "inference" else board.cursor.generation
        board.close()
        return reached >= session.turn

    async def _give_up_turn(self, session: Session) -> None:
        """End the turn that was in progress, unless another has followed it already."""
        message = f"the {self.role} worker was restarted; this turn is lost"
        error = {"session_id": session.session_id, "code": "WORKER_RESTARTED", "message": message}
        await self.store.emit(session.session_id, "error", error)
        await self.store.next_generation(session.session_id, only=session.turn)

    async def _adopt(self, service: Service) -> None:
        for session in await self.store.sessions_of(self.id):
            await self._open(service, session)

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

    async def _take_commands(self, mailboxes: Mailboxes) -> None:
        async for entry_id, command in self.store.commands(self.id):
            mailboxes.put(command, entry_id)

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
                            self._raise_generation(service, session_id, generation)
                elif interrupt.session_id in service.sessions:
                    await self._interrupt(service, interrupt)
            except UnknownSession as error:
                log.info("interrupt: %s", error)
            except StoreError as error:
                log.warning("interrupt: %s", error)

    async def _interrupt(self, service: Service, interrupt: Interrupt) -> None:
        """Obey; one that came by hand, without a number, the rtc worker numbers, and it comes back as an order."""
        if interrupt.generation is not None:
            self._raise_generation(service, interrupt.session_id, interrupt.generation)
            if self.role == "rtc":
                await self.store.reach_generation(interrupt.session_id, interrupt.generation)
        elif self.role == "rtc":
            await self.store.next_generation(interrupt.session_id)

    def _raise_generation(self, service: Service, session_id: str, generation: int) -> None:
        service.raise_generation(session_id, generation)
        self.endings.heard(session_id, generation)

    async def _keep_house(self, service: Service, mailboxes: Mailboxes) -> None:
        """Let go of what has ended without telling us, and of what nobody owns in shared memory."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            folders, known = set(self.node.session_folders()), set(service.sessions) | mailboxes.sessions
            try:  # only now: what began since is not in these sets
                live = {session.session_id for session in await self.store.list_sessions()}
            except StoreError as error:
                log.warning("housekeeping: %s", error)
                continue
            for session_id in known - live:
                mailboxes.put(Close(session_id, "ended"))
            for session_id in folders - live - known:
                self.node.remove_session(session_id)


def _die_loudly(task: asyncio.Task[None]) -> None:
    """A part of the life-cycle that fails takes the process with it; the supervisor starts a whole one."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("worker part failed", exc_info=error)
        os._exit(70)

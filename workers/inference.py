"""The inference process: PCM slots in, AV slots out, for all sessions of one device. `python -m workers.inference`.

One loop serves everybody: it always renders the next frame of the session whose playout buffer is lowest; if its model
batches, sessions of the same model hear their next sound in the same pass. Ring ends stay in the loop's thread; models
run in a thread of their own, one step at a time, so commands and interrupts are heard while it computes. An interrupt
does not wait for it: its frame is published with a generation that is over.

Which models there are, and whether they can be used, is workers/faces.py's.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: this file is loaded again as a module, a little later
    from workers.start import run_worker

    run_worker("inference", "workers.inference:InferenceService")
    raise SystemExit

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from opentalking.avatars.bundle import AvatarError
from opentalking.models.adapter import BatchingAdapter, ModelError
from opentalking.store import Command, Session, StoreError, SwitchAvatar
from workers import switching
from workers.faces import Face, Faces
from workers.lifecycle import Worker
from workers.render import RenderSession, hear_together

log = logging.getLogger(__name__)


class InferenceService:
    """One rendering loop for all sessions."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.sessions: dict[str, RenderSession] = {}
        self._faces = Faces(worker.config, self._on_device)
        self._device = ThreadPoolExecutor(1, "device")
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def info(self) -> dict[str, Any]:
        rings = {session_id: session.levels() for session_id, session in self.sessions.items()}
        self._work.set()  # levels() may have taken what was to wake the renderer
        return {**self._faces.info(), "rings": rings}

    async def start(self) -> None:
        await self._faces.start()
        self._spawn(self._render())

    async def warm(self) -> None:
        await self._faces.load_all()
        self._spawn(self._faces.look_again())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_raise_unless_cancelled)
        self._tasks.append(task)

    async def open(self, session: Session) -> None:
        face = await self._faces.get(session.model, session.avatar_id)
        folder = self._worker.node.session(session.session_id)
        rendering = RenderSession(face.adapter, face.avatar, folder, session.face)
        rendering.listen(self._work.set)
        self.sessions[session.session_id] = rendering
        rendering.board.raise_generation(session.generation)
        clip = str(face.clip)
        await self._worker.store.set_idle_clip(session.session_id, clip)
        if session.face:  # the process before this one may have died before it said so
            shown = msgspec.structs.replace(switching.shown(session), idle_clip=clip)
            await self._worker.store.send(session.rtc_worker, shown)

    async def handle(self, command: Command) -> None:
        if isinstance(command, SwitchAvatar):
            await self._switch(command)
        else:
            log.warning("not a command for inference: %s", type(command).__name__)

    async def _switch(self, command: SwitchAvatar) -> None:
        """Another face for a session, in the order of switching.py."""
        store, session_id, before = self._worker.store, command.session_id, self.sessions.get(command.session_id)
        if before is None or not await switching.is_wanted(store, command):
            return
        try:
            face = await self._faces.get(command.model, command.avatar_id)
            if not await switching.is_wanted(store, command):  # it took seconds, and the person chose again
                return
            switching.make_ring(self._worker.node.session(session_id), command.face, face.avatar)
        except StoreError:
            raise
        except Exception as error:  # whatever a model, a file or a full /dev/shm may say: the old face stays
            foreseen = isinstance(error, AvatarError | ModelError | OSError)
            log.warning("%s keeps its face: %s", session_id, error, exc_info=not foreseen)
            await switching.refuse(store, command, error)
            return
        try:
            await switching.finish(before, store, session_id, self._on_device)
            await store.set_face(switching.to_show(command, face))
        except StoreError:
            before.come_back()
            raise
        await self._replace(before, face, command)

    async def _replace(self, before: RenderSession, face: Face, command: SwitchAvatar) -> None:
        """The face that is in force now takes over the sound, at the slot that the one before stopped at."""
        folder = self._worker.node.session(command.session_id)
        session = await self._worker.store.get_session(command.session_id)
        if session is None:
            return
        async with before.lock:
            before.close()
            del self.sessions[session.session_id]
            try:
                after = RenderSession(face.adapter, face.avatar, folder, command.face)
            except Exception as error:  # there is no way back to the face before
                log.exception("cannot open %s", session.session_id)
                await self._worker.fail_session(session, "OPEN_FAILED", f"inference: {error}")
                return
            after.listen(self._work.set)
            self.sessions[session.session_id] = after
        self._work.set()
        await self._worker.store.send(session.rtc_worker, switching.to_show(command, face))

    def raise_generation(self, session_id: str, generation: int) -> None:
        self.sessions[session_id].board.raise_generation(generation)
        self._work.set()

    async def close(self, session_id: str, reason: str) -> None:
        rendering = self.sessions.pop(session_id)
        async with rendering.lock:
            rendering.close()

    async def drain(self, sessions: Sequence[Session], bound_s: float) -> None:
        await self._worker.endings.wait(sessions, bound_s)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session_id in list(self.sessions):
            await self.close(session_id, "worker stopped")
        self._device.shutdown()

    async def _render(self) -> None:
        """Render for ever: one frame for whoever is nearest to running dry."""
        while True:
            ready = sorted(
                (session for session in self.sessions.values() if session.can_progress()),
                key=lambda session: session.buffered,
            )
            if not ready:
                await self._work.wait()
                self._work.clear()
                continue
            await self._serve(_companions(ready))

    async def _serve(self, together: Sequence[RenderSession]) -> None:
        """One step of these, unless they are closed meanwhile. Nothing holds them afterwards, nor their avatars."""
        async with AsyncExitStack() as locks:
            for session in together:
                await locks.enter_async_context(session.lock)
            await self._advance([session for session in together if not session.closed])

    async def _advance(self, sessions: Sequence[RenderSession]) -> None:
        """One step of one session; of several, which are of a model that batches, their next sound."""
        try:
            if len(sessions) > 1:
                await hear_together(sessions, self._on_device)
            elif sessions:
                await sessions[0].step(self._on_device)
        except ModelError as error:  # of its own accord, as when a server went away
            log.warning("%s; the turn is dropped", error)
            for session in sessions:
                self._faces.lost(session.adapter, error)
                await self._drop_turn(session, error)
        except Exception as error:
            log.exception("rendering failed; the turn is dropped")
            for session in sessions:
                await self._drop_turn(session, error)

    async def _drop_turn(self, failed: RenderSession, error: Exception) -> None:
        """A turn that cannot be drawn must not be waited for: end it for everybody, and say why."""
        session_id = next((key for key, session in self.sessions.items() if session is failed), None)
        if session_id is None:
            return
        store, data = self._worker.store, {"session_id": session_id, "code": "RENDER_FAILED", "message": str(error)}
        with contextlib.suppress(StoreError):
            failed.board.raise_generation(await store.next_generation(session_id))
            await store.emit(session_id, "error", data)
        failed.abandon_turn()

    async def _on_device(self, call: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._device, call, *args)


def _companions(ready: Sequence[RenderSession]) -> Sequence[RenderSession]:
    """The neediest of the ready sessions, and those that can hear in the same pass as it."""
    first = ready[0]
    if not (isinstance(first.adapter, BatchingAdapter) and first.can_hear):
        return [first]
    alike = [session for session in ready if session.adapter is first.adapter and session.can_hear]
    return alike[: first.adapter.max_batch]


def _raise_unless_cancelled(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()

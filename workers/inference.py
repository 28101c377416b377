"""The inference process: PCM slots in, AV slots out, for all sessions of one device. `python -m workers.inference`.

One loop serves everybody: it always renders the next frame of the session whose playout buffer is lowest. Ring ends
stay in the loop's thread; the model runs in a thread of its own, one step at a time, so commands and interrupts are
heard while it computes. An interrupt does not wait for it: its frame is published with a generation that is over.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: this file is loaded again as a module, a little later
    from workers.start import run_worker

    run_worker("inference", "workers.inference:InferenceService")
    raise SystemExit

import asyncio
import contextlib
import hashlib
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from opentalking.avatars.bundle import AvatarError, avatars_dir, find_bundle
from opentalking.models.adapter import AvatarState, ModelAdapter, ModelError
from opentalking.models.device import choose_device
from opentalking.models.registry import create_adapter, list_models
from opentalking.rtc.idle import map_clip, write_clip
from opentalking.store import Command, Session, ShowAvatar, StoreError, SwitchAvatar
from opentalking.types import i420_shape
from workers import switching
from workers.lifecycle import Worker
from workers.render import RenderSession

log = logging.getLogger(__name__)


class InferenceService:
    """Adapters once a process, avatars once each, one rendering loop for all sessions."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._config = worker.config
        self.sessions: dict[str, RenderSession] = {}
        self._adapters: dict[str, ModelAdapter] = {}
        self._statuses = {
            name: {"id": name, "backend": "local", "connected": False, "reason": "loading"}
            for name in list_models(self._config)
        }
        self._avatars: dict[tuple[str, str], tuple[AvatarState, Path]] = {}
        self._loading = asyncio.Lock()
        self._device = ThreadPoolExecutor(1, "device")
        self._device_name = ""
        self._work = asyncio.Event()
        self._renderer: asyncio.Task[None] | None = None

    def info(self) -> dict[str, Any]:
        rings = {session_id: session.levels() for session_id, session in self.sessions.items()}
        self._work.set()  # levels() may have taken what was to wake the renderer
        models = list(self._statuses.values())
        return {"models": models, "device": self._device_name, "rings": rings}

    async def start(self) -> None:
        self._device_name = await self._on_device(choose_device, self._config.torch_device)
        for name, status in self._statuses.items():
            try:
                self._adapters[name] = await self._on_device(self._load, name)
                status.update(connected=True, reason="local_runtime")
            except ModelError as error:  # the others can be used
                log.error("model %s: %s", name, error)
                status.update(reason=str(error))
        self._renderer = asyncio.create_task(self._render())
        self._renderer.add_done_callback(_raise_unless_cancelled)

    async def warm(self) -> None:
        default = find_bundle(avatars_dir(self._config), self._config.default_avatar)
        model = self._config.default_model or default.manifest.model_type
        if model not in self._adapters:
            raise ModelError(self._statuses[model]["reason"] if model in self._statuses else f"no model {model!r}")
        avatar, _ = await self._avatar(model, self._config.default_avatar)
        await self._on_device(self._adapters[model].warmup, avatar)

    def _load(self, name: str) -> ModelAdapter:
        adapter = create_adapter(name, self._config)
        adapter.load_model(choose_device(self._config.torch_device))
        return adapter

    async def open(self, session: Session) -> None:
        avatar, clip = await self._avatar(session.model, session.avatar_id)
        adapter = self._adapters[session.model]
        folder = self._worker.node.session(session.session_id)
        rendering = RenderSession(adapter, avatar, folder, session.face)
        rendering.listen(self._work.set)
        self.sessions[session.session_id] = rendering
        rendering.board.raise_generation(session.generation)
        if session.face:  # the process before this one may have died before it said so
            await self._worker.store.send(session.rtc_worker, switching.shown(session))
        else:
            await self._worker.store.set_idle_clip(session.session_id, str(clip))

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
            if command.model not in self._adapters:
                raise ModelError(f"this worker does not serve the model {command.model}")
            avatar, clip = await self._avatar(command.model, command.avatar_id)
            if not await switching.is_wanted(store, command):  # it took seconds, and the person chose again
                return
            switching.make_ring(self._worker.node.session(session_id), command.face, avatar)
        except StoreError:
            raise
        except Exception as error:  # whatever a model, a file or a full /dev/shm may say: the old face stays
            foreseen = isinstance(error, AvatarError | ModelError | OSError)
            log.warning("%s keeps its face: %s", session_id, error, exc_info=not foreseen)
            await switching.refuse(store, command, error)
            return
        face = ShowAvatar(
            session_id, command.face, command.avatar_id, command.model, avatar.width, avatar.height, str(clip)
        )
        try:
            await switching.finish(before, store, session_id, self._on_device)
            await store.set_face(face)
        except StoreError:
            before.come_back()
            raise
        await self._replace(before, avatar, face)

    async def _replace(self, before: RenderSession, avatar: AvatarState, face: ShowAvatar) -> None:
        """The face that is in force now takes over the sound, at the slot that the one before stopped at."""
        store, session_id = self._worker.store, face.session_id
        async with before.lock:
            before.close()
            del self.sessions[session_id]
            try:
                after = RenderSession(
                    self._adapters[face.model], avatar, self._worker.node.session(session_id), face.face
                )
                after.listen(self._work.set)
                self.sessions[session_id] = after
            except Exception as error:
                log.exception("cannot render %s", session_id)
                session = await store.get_session(session_id)
                if session is not None:
                    await self._worker.fail_session(session, "OPEN_FAILED", f"inference: {error}")
                return
        self._work.set()
        session = await store.get_session(session_id)
        if session is not None:
            await store.send(session.rtc_worker, face)

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
        if self._renderer is not None:
            self._renderer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renderer
        for session_id in list(self.sessions):
            await self.close(session_id, "worker stopped")
        self._device.shutdown()

    async def _render(self) -> None:
        """Render for ever: one frame for whoever is nearest to running dry."""
        while True:
            ready = [session for session in self.sessions.values() if session.can_progress()]
            if not ready:
                await self._work.wait()
                self._work.clear()
                continue
            session = min(ready, key=lambda candidate: candidate.buffered)
            async with session.lock:
                try:
                    if not session.closed:
                        await session.step(self._on_device)
                except Exception as error:
                    log.exception("rendering failed; the turn is dropped")
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

    async def _avatar(self, model: str, avatar_id: str) -> tuple[AvatarState, Path]:
        """The avatar and its idle clip, both made at first use."""
        async with self._loading:
            key = (model, avatar_id)
            if key not in self._avatars:
                adapter = self._adapters[model]
                path = find_bundle(avatars_dir(self._config), avatar_id).path
                avatar = await asyncio.to_thread(adapter.load_avatar, path)
                clip = await self._idle_clip(adapter, avatar, path)
                adapter.use_idle_clip(avatar, map_clip(clip, avatar.width, avatar.height))
                self._avatars[key] = avatar, clip
            return self._avatars[key]

    async def _idle_clip(self, adapter: ModelAdapter, avatar: AvatarState, bundle: Path) -> Path:
        """Render the idle loop to a file, unless it is there; frame by frame, so that nobody's speech waits for it."""
        clip = self._config.cache_dir / "idle" / f"{adapter.model_type}-{bundle.name}-{_digest(bundle, adapter)}.i420"
        size = int(np.prod(i420_shape(avatar.width, avatar.height))) * avatar.idle_frames
        if clip.is_file() and clip.stat().st_size == size:
            return clip
        frames = []
        for pose in range(avatar.idle_frames):
            out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
            await self._on_device(adapter.idle_frame, avatar, pose, out)
            frames.append(out)
        await asyncio.to_thread(write_clip, clip, frames)
        return clip


def _digest(bundle: Path, adapter: ModelAdapter) -> str:
    """Changes with the bundle's files and with the code that draws them."""
    code = Path(sys.modules[type(adapter).__module__].__file__ or "").parent
    digest = hashlib.sha256()
    for path in (*sorted(bundle.rglob("*")), *sorted(code.glob("*.*"))):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _raise_unless_cancelled(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.result()

"""The faces of an inference process: which models can be used, how fast they are, and the avatars that were asked for.

    loading ──> connected            loaded, and measured to hold its frame rate on this device
            └─> reason, detail       a file, a package or a server is missing; or it is too slow, with the figures
                └─ *_unavailable     looked for again every few seconds: a server may come up later

A model that a session needs, after a crash, is loaded first and alone, so that nobody waits for the others. Loading
happens in a thread beside the device's: who is speaking meanwhile does not wait either.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opentalking.avatars import AvatarError, find_avatar
from opentalking.config import Settings
from opentalking.models.adapter import AvatarState, BatchingAdapter, LateAdapter, ModelAdapter, ModelError
from opentalking.models.device import choose_device
from opentalking.models.idle_clip import clip_path, drop_older, is_rendered
from opentalking.models.pace import Pace, measure_pace
from opentalking.models.registry import create_adapter, list_models, model_backend
from opentalking.rtc.idle import map_clip, write_clip
from opentalking.types import FRAME_MS, i420_shape

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 10.0

OnDevice = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Face:
    """An avatar as a model has it, and its idle clip."""

    adapter: ModelAdapter
    avatar: AvatarState
    clip: Path


class Faces:
    """Adapters once a process, avatars once each."""

    def __init__(self, config: Settings, on_device: OnDevice) -> None:
        self._config = config
        self._on_device = on_device
        self._device_name = ""
        self._adapters: dict[str, ModelAdapter] = {}
        self._away: dict[str, ModelAdapter] = {}  # made, and not loaded yet: their servers are looked for again
        self._faces: dict[tuple[str, str], Face] = {}
        self._paces: dict[str, Pace] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self._statuses: dict[str, dict[str, Any]] = {
            name: {
                "id": name,
                "backend": model_backend(name, config),
                "connected": False,
                "reason": "loading",
                "detail": "the model is being loaded",
            }
            for name in list_models(config)
        }

    def info(self) -> dict[str, Any]:
        """For the heartbeat, with which avatars go that were deleted."""
        self._forget_deleted()
        return {"models": list(self._statuses.values()), "device": self._device_name}

    async def start(self) -> None:
        """Find the device. Raises ModelError if the one that was asked for is not there."""
        self._device_name = await asyncio.to_thread(choose_device, self._config.torch_device)

    async def load_all(self) -> None:
        """Load and measure every model, that of the default avatar first.

        Raises ModelError if that one cannot be; not if it runs elsewhere and is away: others are drawn meanwhile."""
        default = find_avatar(self._config, self._config.default_avatar)
        first = self._config.default_model or default.manifest.model_type
        for name in sorted(self._statuses, key=lambda name: name != first):
            await self._offer(name)
            status = self._statuses[name]
            if name == first and not (status["connected"] or _is_away(status)):
                raise ModelError(status["detail"])
        if first not in self._statuses:
            raise ModelError(f"no model {first!r}; known: {', '.join(self._statuses)}")

    async def look_again(self) -> None:
        """For ever: offer models whose server was not there, once it is."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            for name, status in self._statuses.items():
                if _is_away(status):
                    await self._offer(name)

    def lost(self, adapter: ModelAdapter, error: ModelError) -> None:
        """A server does not answer any more: no new session gets its model until it does."""
        name = next((name for name, known in self._adapters.items() if known is adapter), None)
        if name is not None and error.reason.endswith("_unavailable"):
            self._statuses[name].update(connected=False, reason=error.reason, detail=str(error))

    async def get(self, model: str, avatar_id: str) -> Face:
        """The face, with its model loaded, rig and idle clip made at first use. Raises ModelError, AvatarError."""
        async with self._loading.setdefault(model, asyncio.Lock()):
            adapter = self._adapters.get(model) or await self._load(model)
            return await self._face(adapter, model, avatar_id)

    async def _offer(self, name: str) -> None:
        """Load a model and say whether it can be used; the others can be used whatever becomes of it."""
        status = self._statuses[name]
        async with self._loading.setdefault(name, asyncio.Lock()):
            try:
                figures = await self._found(name)
            except Exception as error:
                known = isinstance(error, ModelError)
                detail = str(error) if known else f"{type(error).__name__}: {error}"
                reason = error.reason if isinstance(error, ModelError) else "local_adapter_missing"
                if status["detail"] != detail:
                    level = (
                        logging.INFO if reason == "not_configured" else logging.WARNING
                    )  # most do without most models
                    log.log(level, "model %s: %s", name, detail, exc_info=None if known else error)
                status.update(connected=False, reason=reason, detail=detail)
            else:
                reason = "local_runtime" if status["backend"] == "local" else status["backend"]
                status.update(connected=True, reason=reason, detail="", **figures)

    async def _found(self, name: str) -> dict[str, Any]:
        """Load the model, and measure it; what was measured. Raises ModelError if it cannot be used."""
        adapter = self._adapters.get(name)
        if adapter is None:
            adapter = await self._load(name)
            try:
                return _figures(adapter, await self._measured(adapter, name))
            except ModelError:
                del self._adapters[name]
                raise
        if isinstance(adapter, LateAdapter):
            await asyncio.to_thread(adapter.load_model, self._device_name)  # looks whether its server is there
        return {}

    async def _load(self, name: str) -> ModelAdapter:
        adapter = self._away.get(name) or create_adapter(name, self._config)
        if isinstance(adapter, LateAdapter):  # it has a thread of its own: one for all its attempts
            self._away[name] = adapter
        await asyncio.to_thread(adapter.load_model, self._device_name)
        self._away.pop(name, None)
        self._adapters[name] = adapter
        return adapter

    async def _measured(self, adapter: ModelAdapter, name: str) -> Pace | None:
        """How fast it draws the default avatar; None if it cannot be told. Raises ModelError if that is too slow.

        Nobody uses the model yet, so it runs in a thread beside those who speak."""
        if isinstance(adapter, LateAdapter):
            return None
        try:
            face = await self._face(adapter, name, self._config.default_avatar)
        except AvatarError as error:
            log.info("model %s is not measured: %s", name, error)
            return None
        await asyncio.to_thread(adapter.warmup, face.avatar)
        pace: Pace = await asyncio.to_thread(measure_pace, adapter, face.avatar)
        if not pace.holds:
            self._faces.pop((name, self._config.default_avatar), None)
            raise ModelError(
                f"it takes {pace.frame_ms:.0f} ms a frame on {self._device_name}, and a frame lasts {FRAME_MS}",
                reason="too_slow",
            )
        self._paces[name] = pace
        return pace

    async def _face(self, adapter: ModelAdapter, model: str, avatar_id: str) -> Face:
        self._forget_deleted()
        key = (model, avatar_id)
        if key not in self._faces:
            path = find_avatar(self._config, avatar_id, leaving=True).path
            avatar = await asyncio.to_thread(adapter.load_avatar, path)
            self._require_pace(model, avatar)
            clip = await self._idle_clip(adapter, avatar, path)
            adapter.use_idle_clip(avatar, map_clip(clip, avatar.width, avatar.height))
            self._faces[key] = Face(adapter, avatar, clip)
        return self._faces[key]

    def _require_pace(self, model: str, avatar: AvatarState) -> None:
        """Raise ModelError if the avatar is so large that its frames come late, by what was measured of a smaller one.

        A session that comes back after a crash is opened before anything is measured."""
        pace = self._paces.get(model)
        if pace is not None and not pace.holds_at(avatar.width, avatar.height):
            frame_ms = pace.frame_ms_at(avatar.width, avatar.height)
            raise ModelError(
                f"{avatar.width}x{avatar.height} pixels take {model} {frame_ms:.0f} ms a frame on {self._device_name}, "
                f"and a frame lasts {FRAME_MS}",
                reason="too_slow",
            )

    def _forget_deleted(self) -> None:
        """An avatar that was deleted took its clip with it; sessions that show it hold what they need themselves."""
        self._faces = {key: face for key, face in self._faces.items() if face.clip.is_file()}

    async def _idle_clip(self, adapter: ModelAdapter, avatar: AvatarState, bundle: Path) -> Path:
        """Render the idle loop to a file, unless it is there; frame by frame, so that nobody's speech waits for it."""
        clip = await asyncio.to_thread(clip_path, self._config.cache_dir, adapter, bundle)
        if is_rendered(clip, avatar):
            return clip
        frames = []
        for pose in range(avatar.idle_frames):
            out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
            await self._on_device(adapter.idle_frame, avatar, pose, out)
            frames.append(out)
        await asyncio.to_thread(write_clip, clip, frames)
        drop_older(clip)
        return clip


def _is_away(status: dict[str, Any]) -> bool:
    """Whether a server is not there, which may come up later."""
    return str(status["reason"]).endswith("_unavailable")


def _figures(adapter: ModelAdapter, pace: Pace | None) -> dict[str, Any]:
    """What a frame was measured to take, ms. A model that batches is full when its sessions' frames fill the time."""
    if pace is None:
        return {}
    figures: dict[str, Any] = {"frame_ms": round(pace.frame_ms, 2), "batched_frame_ms": round(pace.batched_ms, 2)}
    return figures | ({"max_sessions": pace.sessions} if isinstance(adapter, BatchingAdapter) else {})

"""The recognisers of a speech process: the default one loads in the background, others when a session asks for them.

Nobody waits for them but who speaks: a process is ready, and talks again after a crash, before anything here is loaded.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from opentalking.config import Settings
from opentalking.stt.base import STTAdapter, STTError
from opentalking.stt.registry import available, create_stt, pick_stt

log = logging.getLogger(__name__)


class Recognisers:
    """Engines by name, each loaded once."""

    def __init__(self, config: Settings) -> None:
        self._config = config
        self._engines: dict[str, asyncio.Task[STTAdapter]] = {}
        self._default = ""
        self._reasons: dict[str, str | None] = {}
        self._failed: dict[str, str] = {}

    async def look_around(self) -> None:
        """Which engines there are, and which is the default; nothing heavy is imported."""
        try:
            self._reasons, self._default = await asyncio.to_thread(self._found)
        except STTError as error:  # a setting that is wrong
            log.warning("no speech recognition: %s", error)
        if self._default and self._default != self._config.stt_provider:
            log.warning("recogniser %s cannot be used here; %s is", self._config.stt_provider, self._default)

    def _found(self) -> tuple[dict[str, str | None], str]:
        """Every engine with what it lacks, and the one to load."""
        reasons = available(self._config)
        try:
            return reasons, pick_stt(self._config)
        except STTError as error:
            log.warning("no speech recognition: %s", error)
            return reasons, ""

    def start(self) -> None:
        """Load the default engine, in the background."""
        if self._default:
            self._loading(self._default)

    def info(self) -> dict[str, Any]:
        """What heartbeats say: every engine, and which one a session gets that names none."""
        return {"stt": {name: self._status(name) for name in self._reasons}, "default_stt": self._default}

    def _status(self, name: str) -> dict[str, Any]:
        reason = self._failed.get(name) or self._reasons[name]
        engine = self._engines.get(name)
        loading = reason is None and engine is not None and not engine.done()
        return {
            "available": reason is None and not loading,
            "loading": loading,
            "reason": reason or ("it is being loaded" if loading else ""),
        }

    async def get(self, name: str) -> STTAdapter:
        """The engine of that name, the default one without; loaded. Raises STTError."""
        name = name or self._default
        if not name:
            raise STTError("no recogniser can be used; GET /health says why")
        return await asyncio.shield(self._loading(name))

    def _loading(self, name: str) -> asyncio.Task[STTAdapter]:
        """Loaded once, however many ask meanwhile; one that failed is tried anew."""
        task = self._engines.get(name)
        if task is None:
            task = self._engines[name] = asyncio.create_task(self._load(name))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # the heartbeat tells it
        return task

    async def _load(self, name: str) -> STTAdapter:
        self._failed.pop(name, None)
        try:
            engine = await asyncio.to_thread(create_stt, name, self._config)
            await engine.warmup()
        except Exception as error:
            del self._engines[name]
            reason = str(error) or type(error).__name__
            log.warning("recogniser %s: %s", name, reason)
            if name in self._reasons:
                self._failed[name] = reason
            raise
        return engine

    async def stop(self) -> None:
        for task in list(self._engines.values()):
            task.cancel()
            for engine in await asyncio.gather(task, return_exceptions=True):
                if not isinstance(engine, BaseException):
                    await engine.aclose()

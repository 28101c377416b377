"""What a speech process listens with: voice activity and the turn model, loaded once, behind the voice and the words.

Without the turn model silence alone ends a turn; without voice activity nobody can be listened to, and is told so.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from opentalking.config import Settings
from opentalking.turns.smart_turn import SmartTurn, load_smart_turn
from opentalking.turns.vad import SileroModel
from opentalking.types import Int16


class Attention:
    """`voice` raises TurnsError where there is none."""

    def __init__(self, config: Settings) -> None:
        self._config = config
        self._threads = ThreadPoolExecutor(1, "turn-model")
        self._loading: asyncio.Task[tuple[SileroModel, SmartTurn | None]] | None = None

    def start(self) -> None:
        """Load, in the background."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(lambda task: task.cancelled() or task.exception())  # told to who speaks

    async def _load(self) -> tuple[SileroModel, SmartTurn | None]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._load_models)

    def _load_models(self) -> tuple[SileroModel, SmartTurn | None]:
        return SileroModel(self._config), load_smart_turn(self._config)

    async def models(self) -> tuple[SileroModel, SmartTurn | None]:
        """Both, once they are loaded. Raises TurnsError."""
        self.start()
        assert self._loading is not None
        return await asyncio.shield(self._loading)

    async def finished(self, model: SmartTurn, pcm: Int16) -> float:
        """How finished that sounds, 0..1; in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, model.finished, pcm)

    async def stop(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

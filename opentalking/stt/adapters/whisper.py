"""The offline recogniser: Whisper, while somebody speaks, when they pause, and when they are done.

    audio     ▂▄▆▃▅▇▄▂▃▅▆▄▂▁▁▁▁▁▂▅▃▆▄▂▁▁▁▁▁
              ├──0.7 s──┼──0.7 s──┤   ├──0.7 s──┤
    partials            [decode]  [decode]      [decode]           lane 1: told; left out if a lane is busy then
    Pause                     ▼                     ▼  the end
    finals                    [decode]              [decode]       lane 2: nobody's partial is before it
    told                ·How far  ·How far is   ·How far is the moon? ·the same, final: nothing but a pause came since

Two lanes, each a thread and a replica of the model over one set of weights, work for all sessions, so the loop never
waits. Finals take turns; a partial that cannot begin at once is left out, and none begins while a final is decoded, for
they would share the cores. A decode cannot be stopped half-way; one that nobody waits for any more does not begin. A
recording that is read faster than it is decoded has no partials.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from opentalking.config import Settings
from opentalking.stt.base import Audio, Pause, STTError, Transcript
from opentalking.stt.weights import missing_weights
from opentalking.stt.whisper import Understood, WhisperModel
from opentalking.types import MODEL_RATE, AudioChunk, Int16

_NICE = 10
_LANES = 2


class WhisperSTT:
    """STTAdapter; one model, recognising what it is spoken to in (base) or English (tiny.en)."""

    provider = "whisper"
    answers_pauses = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partial_lane, self._final_lane = (
            ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"whisper-{name}", initializer=_step_back)
            for name in ("partials", "finals")
        )
        self._partial: Future[Understood] | None = None  # the last one that was begun, of any session
        self._finals = 0  # decodes that are waited for
        self._loading = threading.Lock()
        self._model: WhisperModel | None = None

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this engine cannot be used here, or None."""
        if importlib.util.find_spec("ctranslate2") is None:
            return "ctranslate2 is not installed: pip install 'opentalking[offline]'"
        return missing_weights(settings)

    async def warmup(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._final_lane, self._loaded)

    async def transcribe_stream(self, audio: AsyncIterator[Audio]) -> AsyncGenerator[Transcript, None]:
        utterance = _Utterance(self, self._settings.stt_partial_ms * MODEL_RATE // 1000)
        coming = _next(audio)
        try:
            while True:
                awaited: list[asyncio.Future[Any]] = [coming, *utterance.partials]
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if (understood := utterance.partly()) and understood.text:
                    yield Transcript(understood.text, False, understood.samples)
                if not coming.done():
                    continue
                if (heard := coming.result()) is None:
                    break
                coming = _next(audio)
                if isinstance(heard, Pause):
                    understood = await utterance.wholly()
                    yield Transcript(understood.text, False, understood.samples)
                    continue
                utterance.hear(_checked(heard))
                if utterance.is_partial_due:
                    await asyncio.sleep(0)  # so that what is there already is read first
                    if not coming.done():
                        utterance.begin_partial()
            understood = await utterance.wholly()
            yield Transcript(understood.text, True, understood.samples)
        finally:
            coming.cancel()
            utterance.drop()

    async def finally_(self, pcm: list[Int16], before: Understood) -> Understood:
        """Decoded as soon as the finals that were wanted earlier are."""
        self._finals += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._final_lane, self._decode, pcm, before)
        finally:
            self._finals -= 1

    def partially(self, pcm: list[Int16], before: Understood) -> asyncio.Future[Understood] | None:
        """Decoded now, or not at all."""
        if self._finals or (self._partial is not None and not self._partial.done()):
            return None
        self._partial = self._partial_lane.submit(self._decode, pcm, before)
        return asyncio.wrap_future(self._partial)

    async def aclose(self) -> None:
        for lane in (self._partial_lane, self._final_lane):
            lane.shutdown(wait=False, cancel_futures=True)

    def _loaded(self) -> WhisperModel:
        with self._loading:
            if self._model is None:
                model = WhisperModel(self._settings, _LANES)
                tone = np.sin(np.arange(MODEL_RATE) / 10) * 1000
                model.understand(tone.astype(np.int16), Understood())
                self._model = model
            return self._model

    def _decode(self, pcm: list[Int16], before: Understood) -> Understood:
        return self._loaded().understand(np.concatenate(pcm) if pcm else np.zeros(0, np.int16), before)


class _Utterance:
    """What was heard, and what was understood of it. All methods run in the loop's thread."""

    def __init__(self, stt: WhisperSTT, every: int) -> None:
        """`every`: samples between partials; 0 for none."""
        self._stt = stt
        self._every = every
        self._pcm: list[Int16] = []
        self._samples = 0
        self._asked = 0  # how much there was when a partial was last due
        self._understood = Understood()
        self.partials: list[asyncio.Future[Understood]] = []  # one that is running, or none

    def hear(self, pcm: Int16) -> None:
        self._pcm.append(pcm)
        self._samples += len(pcm)

    @property
    def is_partial_due(self) -> bool:
        return 0 < self._every <= self._samples - self._asked

    def begin_partial(self) -> None:
        self._asked = self._samples
        if not self.partials and (partial := self._stt.partially(self._pcm.copy(), self._understood)) is not None:
            self.partials.append(partial)

    def partly(self) -> Understood | None:
        """What a partial understood that has just ended, if it is news."""
        if not self.partials or not self.partials[0].done():
            return None
        understood = self.partials.pop().result()
        if understood.samples <= self._understood.samples:  # a pause came after it, and was faster
            return None
        self._understood = understood
        return understood

    async def wholly(self) -> Understood:
        """All there is; decoded if something came since, or is not being decoded yet."""
        if self.partials and self._asked == self._samples:
            await asyncio.wait(self.partials)
            self.partly()
        if self._understood.samples < self._samples:
            self._understood = await self._stt.finally_(self._pcm.copy(), self._understood)
        return self._understood

    def drop(self) -> None:
        for partial in self.partials:
            partial.cancel()
            partial.add_done_callback(lambda done: done.cancelled() or done.exception())


def _next(audio: AsyncIterator[Audio]) -> asyncio.Future[Audio | None]:
    return asyncio.ensure_future(anext(audio, None))


def _step_back() -> None:
    """Let whoever keeps a clock go first: a decode is a burst of a whole core. The model's threads inherit it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # of this thread alone, on Linux


def _checked(chunk: AudioChunk) -> Int16:
    if chunk.sample_rate != MODEL_RATE:
        raise STTError(f"whisper hears {MODEL_RATE} Hz, not {chunk.sample_rate}")
    return chunk.data

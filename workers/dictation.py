"""One utterance on its way through a recogniser: samples in, words so far, and all of them at its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

from opentalking.stt.base import Audio, Pause, STTAdapter, STTError, Transcript
from opentalking.types import MODEL_RATE, AudioChunk, Int16


class Dictation:
    """Begins to be recognised when it is made. No method waits but `text`."""

    def __init__(
        self, find: Callable[[], Awaitable[STTAdapter]], longest_s: float, told: Callable[[Transcript], None]
    ) -> None:
        """`find` gives the recogniser, which may have to be loaded first. `told` gets what was understood so far; the
        final text does not go there. What is longer than `longest_s` is not kept."""
        self._find = find
        self._told = told
        self._room = int(longest_s * MODEL_RATE)
        self._audio: asyncio.Queue[Audio | None] = asyncio.Queue()
        self.samples = 0  # fed so far, at 16 kHz
        self.answers_pauses = True  # as far as is known before the recogniser is
        self._task = asyncio.create_task(self._recognise())
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())  # told at the end, if at all

    def feed(self, pcm: Int16) -> None:
        """int16 (samples,) at 16 kHz; copied."""
        samples = pcm[: self._room].copy()
        self._room -= len(samples)
        self.samples += len(samples)
        if len(samples):
            self._audio.put_nowait(AudioChunk(samples, MODEL_RATE))

    @property
    def is_full(self) -> bool:
        """Whether nothing more is kept."""
        return self._room <= 0

    def pause(self) -> None:
        """What was said so far is wanted now."""
        self._audio.put_nowait(Pause())

    def end(self) -> None:
        self._audio.put_nowait(None)

    def drop(self) -> None:
        """Nobody wants to know."""
        self._task.cancel()

    async def text(self) -> str:
        """The final text, after `end`. Raises STTError, or what an engine raised."""
        return await self._task

    async def _recognise(self) -> str:
        recogniser = await self._find()
        self.answers_pauses = recogniser.answers_pauses
        transcripts = recogniser.transcribe_stream(self._chunks())
        async with contextlib.aclosing(transcripts):
            async for transcript in transcripts:
                if transcript.is_final:
                    return transcript.text.strip()
                self._told(transcript)
        raise STTError(f"{recogniser.provider} ended without a final transcript")

    async def _chunks(self) -> AsyncGenerator[Audio, None]:
        while (chunk := await self._audio.get()) is not None:
            yield chunk

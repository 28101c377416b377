"""One turn of a conversation: text to sound, until it is spoken or its generation is over.

    chat   LLM deltas ──> ThinkFilter ──> SentenceSplitter ──┐
    speak  the text ───────────────────> SentenceSplitter ───┴──> fragments ──> TTS ──> TurnShaper ──> pcm ring
                                                                  (queue of 4)

Writing and speaking run side by side, so fragment n+1 is synthesised while n plays; the ring's back-pressure bounds how
far ahead. Cancelling the turn's task closes the LLM request and aborts the voice at their next await.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

from opentalking.config import Settings
from opentalking.llm.heard import SpokenFragment, heard_of_turn, join_fragments
from opentalking.llm.speakable import ThinkFilter, speakable
from opentalking.llm.splitter import SentenceSplitter
from opentalking.slots import pack_pcm
from opentalking.tts.policy import TurnVoice
from opentalking.tts.shaping import Shaped, TurnShaper
from shm import Producer
from workers.recorder import TurnTrace

_FRAGMENTS_AHEAD = 4

Emit = Callable[[str, dict[str, Any]], None]


class NothingToSay(Exception):
    """A turn whose text holds no word."""


class Turn:
    """State of one turn; `emit(event, data)` must not block."""

    def __init__(self, trace: TurnTrace, emit: Emit) -> None:
        """`trace`: where its stages are noted."""
        self.generation = trace.generation
        self.kind = trace.kind
        self.trace = trace
        self.fragments: list[SpokenFragment] = []
        self.sounded = False  # something of it was handed to RTP
        self._emit = emit
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(_FRAGMENTS_AHEAD)

    @property
    def text(self) -> str:
        """All that was (or will be) spoken."""
        return join_fragments([fragment.text for fragment in self.fragments])

    def heard(self, fragment: int, sample: int) -> str:
        return heard_of_turn(self.fragments, fragment, sample) if self.sounded else ""

    async def run(
        self,
        deltas: AsyncGenerator[str, None],
        config: Settings,
        voice: TurnVoice,
        ring: Producer,
    ) -> None:
        """Speak what `deltas` brings. Raises LLMError, TTSError, NothingToSay."""
        writing = asyncio.create_task(self._write(deltas, SentenceSplitter(config.first_fragment_min_chars)))
        try:
            await self._speak(TurnShaper(config), voice, ring, writing)
            await writing
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await writing

    async def _write(self, deltas: AsyncGenerator[str, None], splitter: SentenceSplitter) -> None:
        """Deltas to fragments; the end of the queue is None, whatever happens."""
        try:
            async with contextlib.aclosing(deltas):
                async for delta in deltas:
                    for fragment in splitter.feed(delta):
                        await self._put(fragment)
            for fragment in splitter.flush():
                await self._put(fragment)
        finally:
            if not self._cancelled():
                await self._queue.put(None)

    @staticmethod
    def _cancelled() -> bool:
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    async def _put(self, fragment: str) -> None:
        if text := speakable(fragment):
            self.trace.note("first_fragment_ms")
            await self._queue.put(text)

    async def _speak(self, shaper: TurnShaper, voice: TurnVoice, ring: Producer, writing: asyncio.Task[None]) -> None:
        index = 0
        while (text := await self._queue.get()) is not None:
            fragment = SpokenFragment(text)
            self.fragments.append(fragment)
            engine = await voice.engine_for(text)
            began = {"sentence_index": index, "ms_elapsed": self.trace.elapsed_ms()}
            self._emit("tts", {"stage": "start", **began, "provider": engine.provider, "voice": engine.voice})
            shaper.start_fragment(index)
            async with contextlib.aclosing(voice.speak(text)) as chunks:
                async for chunk in chunks:
                    if index == 0:
                        self._note_first_pcm()
                    await self._publish(shaper.push(chunk), ring, fragment)
            self._emit("tts", {"stage": "complete", "sentence_index": index, "ms_elapsed": self.trace.elapsed_ms()})
            last = writing.done() and self._queue.qsize() == 1  # only the end is left: the turn's tail fades instead
            if not last:
                await self._publish(shaper.end_fragment(), ring, fragment)
                fragment.complete = True
            index += 1
        if not self.fragments:
            await writing  # its error, if that is why
            raise NothingToSay("the text holds nothing that can be spoken")
        await self._publish(shaper.end_turn(), ring, self.fragments[-1])
        self.fragments[-1].complete = True

    def _note_first_pcm(self) -> None:
        if self.trace.ms("tts_first_pcm_ms") is None:
            self.trace.note("tts_first_pcm_ms")
            self._emit("tts", {"stage": "first_audio", "sentence_index": 0, "ms_elapsed": self.trace.elapsed_ms()})

    async def _publish(self, shaped: list[Shaped], ring: Producer, fragment: SpokenFragment) -> None:
        for info, model_pcm, playback_pcm in shaped:
            length = pack_pcm(await ring.claim(), info, model_pcm, playback_pcm)
            ring.publish(self.generation, length)
            fragment.samples += info.samples


async def reply_deltas(answer: AsyncGenerator[str, None], turn: Turn, emit: Emit) -> AsyncGenerator[str, None]:
    """The model's answer as it comes, without its thoughts; every delta is also told to the client."""
    thoughts = ThinkFilter()
    async with contextlib.aclosing(answer):
        async for delta in answer:
            turn.trace.note("llm_first_token_ms")
            if visible := thoughts.feed(delta):
                emit("llm", {"delta": visible})
                yield visible
    if rest := thoughts.flush():
        emit("llm", {"delta": rest})
        yield rest


async def verbatim(text: str) -> AsyncGenerator[str, None]:
    """A given text as a stream of one delta."""
    yield text

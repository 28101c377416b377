"""One turn of a conversation: text to sound, until it is spoken or its generation is over.

    chat   LLM deltas ──> ThinkFilter ──> SentenceSplitter ──┐
    speak  the text ───────────────────> SentenceSplitter ───┴──> fragments ──> TTS ──> TurnShaper ──> pcm ring

Writing and speaking run side by side, so fragment n+1 is synthesised while n plays; the ring's back-pressure bounds how
far ahead. The model does not wait for the voice: its text is small, and it may yet take back what it wrote (a thought
that is known only by its end). Cancelling the turn's task closes the LLM request and aborts the voice at their next
await.

A model or a voice that breaks off takes nothing back: once something of the turn is in the ring, the turn gets its end
there, too, and is heard up to it. Of a sentence that the voice left unfinished the words so far count; one that the
model left unfinished is not said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

from opentalking.config import Settings
from opentalking.llm.base import ALL_THOUGHT, LLMError
from opentalking.llm.heard import SpokenFragment, heard_of_fragment, heard_of_turn, join_fragments
from opentalking.llm.speakable import speakable
from opentalking.llm.splitter import SentenceSplitter
from opentalking.llm.thoughts import Habit, ThinkFilter
from opentalking.slots import pack_pcm
from opentalking.tts.base import TTSError
from opentalking.tts.policy import TurnVoice
from opentalking.tts.shaping import Shaped, TurnShaper
from shm import Producer
from workers.recorder import TurnTrace

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
        self.made = False  # its end is in the ring: the playout brings it there
        self._emit = emit
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._splitter: SentenceSplitter | None = None  # while it is written

    @property
    def text(self) -> str:
        """All that was (or will be) spoken."""
        return join_fragments([fragment.text for fragment in self.fragments if fragment.text])

    def heard(self, fragment: int, sample: int) -> str:
        return heard_of_turn(self.fragments, fragment, sample) if self.sounded else ""

    async def run(
        self,
        deltas: AsyncGenerator[str, None],
        config: Settings,
        voice: TurnVoice,
        ring: Producer,
    ) -> None:
        """Speak what `deltas` brings. Raises LLMError, TTSError, NothingToSay; if `made`, what there is is heard."""
        self._splitter = SentenceSplitter(config.first_fragment_min_chars)
        writing = asyncio.create_task(self._write(deltas, self._splitter))
        shaper = TurnShaper(config)
        try:
            await self._speak(shaper, voice, ring, writing)
            if not self.fragments:
                await writing  # its error, if that is why
                raise NothingToSay("the text holds nothing that can be spoken")
            await self._end(shaper, ring)
            await writing
        except TTSError:
            writing.cancel()
            await self._break_off(shaper, ring)
            raise
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await writing

    def take_back(self) -> None:
        """What was written so far was not meant to be said; what is being said already is."""
        if self._splitter is not None:
            self._splitter.forget()
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _write(self, deltas: AsyncGenerator[str, None], splitter: SentenceSplitter) -> None:
        """Deltas to fragments; the end of the queue is None, whatever happens."""
        try:
            async with contextlib.aclosing(deltas):
                async for delta in deltas:
                    for fragment in splitter.feed(delta):
                        self._put(fragment)
            for fragment in splitter.flush():
                self._put(fragment)
        finally:
            self._queue.put_nowait(None)

    def _put(self, fragment: str) -> None:
        if text := speakable(fragment):
            self.trace.note("first_fragment_ms")
            self._queue.put_nowait(text)

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

    async def _end(self, shaper: TurnShaper, ring: Producer) -> None:
        await self._publish(shaper.end_turn(), ring, self.fragments[-1])
        self.fragments[-1].complete = True
        self.made = True

    async def _break_off(self, shaper: TurnShaper, ring: Producer) -> None:
        """The voice fell silent: the turn ends there, if anything of it is in the ring."""
        if not any(fragment.samples for fragment in self.fragments):
            return
        rest, last = shaper.end_turn(), self.fragments[-1]
        last.text = heard_of_fragment(last, last.samples + sum(info.samples for info, _, _ in rest))
        await self._publish(rest, ring, last)
        last.complete = self.made = True

    def _note_first_pcm(self) -> None:
        if self.trace.ms("tts_first_pcm_ms") is None:
            self.trace.note("tts_first_pcm_ms")
            self._emit("tts", {"stage": "first_audio", "sentence_index": 0, "ms_elapsed": self.trace.elapsed_ms()})

    async def _publish(self, shaped: list[Shaped], ring: Producer, fragment: SpokenFragment) -> None:
        for info, model_pcm, playback_pcm in shaped:
            length = pack_pcm(await ring.claim(), info, model_pcm, playback_pcm)
            ring.publish(self.generation, length)
            fragment.samples += info.samples


async def reply_deltas(
    answer: AsyncGenerator[str, None], turn: Turn, emit: Emit, habit: Habit | None = None
) -> AsyncGenerator[str, None]:
    """The model's answer as it comes, without its thoughts; every delta is also told to the client. Raises LLMError.

    `habit`: of the model, where it thinks."""
    thoughts, spoke = ThinkFilter(habit), False
    async with contextlib.aclosing(answer):
        async for delta in answer:
            turn.trace.note("llm_first_token_ms")
            visible = thoughts.feed(delta)
            if thoughts.took_back():
                turn.take_back()
            if visible:
                spoke = spoke or not visible.isspace()
                emit("llm", {"delta": visible})
                yield visible
    if rest := thoughts.flush():
        emit("llm", {"delta": rest})
        yield rest
    if thoughts.cut_off and not spoke:
        raise LLMError("max_tokens", ALL_THOUGHT)


async def verbatim(text: str) -> AsyncGenerator[str, None]:
    """A given text as a stream of one delta."""
    yield text

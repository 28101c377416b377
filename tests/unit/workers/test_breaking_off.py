"""A model or a voice that breaks off: what was made of the turn is heard to its end, and remembered, and no more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from opentalking.llm.base import LLMError, Message, Spent, Usage
from opentalking.llm.conversation import Entry
from opentalking.store import Speak, Store
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.policy import VoiceChain
from opentalking.types import AudioChunk
from tests.support.playout import Playout
from tests.support.tone import ToneTTS, tone_chain
from tests.unit.store.sessions import SID, new_session
from tests.unit.workers.test_conversation import CONFIG, chat
from workers.conversation import ConversationSession

LOST = LLMError("unreachable", "the connection was lost")


class BreakingLLM:
    """Says this, and fails."""

    def __init__(self, *deltas: str, error: Exception | None = LOST) -> None:
        self._deltas = deltas
        self._error = error

    async def warmup(self) -> None:
        """Nothing to load."""

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        for delta in self._deltas:
            yield delta
        if spent is not None:
            spent(Usage(9, 3))
        if self._error is not None:
            raise self._error

    async def aclose(self) -> None:
        """Nothing to let go of."""


class BreakingTTS(ToneTTS):
    """Fails at the word "fails", after the sound of `sounded` characters of its sentence."""

    sounded = 0

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        broken = "fails" in text
        async for chunk in super().synthesize_stream(text[: self.sounded] if broken else text):
            yield chunk
        if broken:
            raise TTSError("no such voice")


def breaking_chain(sounded: int) -> VoiceChain:
    engine = BreakingTTS(CONFIG)
    engine.sounded = sounded

    async def load(name: str) -> TTSAdapter:
        if name != "tone":
            raise TTSError("no such voice")
        return engine

    return VoiceChain(CONFIG, load, "tone")


async def opened(store: Store, folder: Path, llm: BreakingLLM) -> ConversationSession:
    await store.create_session(new_session())
    found = await store.get_session(SID)
    assert found is not None
    return ConversationSession(found, folder, CONFIG, store, llm)


async def until(store: Store, wanted: str) -> list[tuple[str, dict[str, Any]]]:
    """What the client was told of its turn up to this event, but for its progress."""
    told = []
    events = store.events(SID, ping_s=10)
    async with asyncio.timeout(20):
        while True:
            if (event := await anext(events)) is None:
                continue
            told.append((event.event, event.data))
            if event.event == wanted:
                await events.aclose()
                return told


def of(told: list[tuple[str, dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    return [data for event, data in told if event == name]


@pytest.mark.parametrize("held", [None, 0], ids=["heard at once", "heard later"])
async def test_a_model_that_breaks_off_lets_its_whole_sentences_be_heard(
    store: Store, tmp_path: Path, held: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    session = await opened(store, tmp_path, BreakingLLM("This is one. This is an", "other. And a third th"))
    async with Playout(tmp_path, held) as playout:
        await session.begin(chat(1), tone_chain(CONFIG))
        assert session._task is not None
        if held is not None:
            await asyncio.wait([session._task])
            assert session.turn_in_progress == 1
            playout.release()
        told = await until(store, "speech.ended")
        await session.close()
    (ended,), (error,) = of(told, "speech.ended"), of(told, "error")
    assert (ended["text"], ended["interrupted"]) == ("This is one. This is another.", False)
    assert (error["code"], error["reason"]) == ("LLM_FAILED", "unreachable")
    assert await store.history(SID, Entry) == [
        Entry("user", "Hello?"),
        Entry("assistant", "This is one. This is another.", interrupted=True),
    ]
    assert playout.samples == {(1, 0): 12 * 60 * 48, (1, 1): 16 * 60 * 48}
    assert "LLM_FAILED: the connection was lost (unreachable)" in caplog.text
    assert len(of(told, "llm.usage")) == 1


@pytest.mark.parametrize(
    ("sounded", "heard"), [(0, "This one is said."), (20, "This one is said. This")], ids=["before", "within"]
)
async def test_a_voice_that_fails_for_good_lets_what_it_said_be_heard(
    store: Store, tmp_path: Path, sounded: int, heard: str
) -> None:
    session = await opened(store, tmp_path, BreakingLLM())
    async with Playout(tmp_path) as playout:
        text = "This one is said. This one fails in the middle of it. This is not begun."
        await session.begin(Speak(SID, 1, text, time.time()), breaking_chain(sounded))
        told = await until(store, "speech.ended")
        await session.close()
    (ended,), (error,) = of(told, "speech.ended"), of(told, "error")
    assert (error["code"], error["reason"]) == ("TTS_FAILED", "bad_request")
    assert not ended["interrupted"] and ended["text"].startswith(heard)
    assert len(ended["text"]) < len("This one is said. This one fails in the mid")
    assert playout.ended.is_set()
    assert playout.samples[1, 0] == len("This one is said.") * 60 * 48


async def test_a_turn_of_which_nothing_was_made_is_ended_for_everybody(store: Store, tmp_path: Path) -> None:
    session = await opened(store, tmp_path, BreakingLLM("Half a sen"))
    async with Playout(tmp_path) as playout:
        await session.begin(chat(await store.next_generation(SID)), tone_chain(CONFIG))
        told = await until(store, "speech.ended")
        assert session.board.generation == 2
        await session.close()
    (ended,) = of(told, "speech.ended")
    assert (ended["text"], ended["interrupted"]) == ("", True)
    assert playout.samples == {}


@pytest.mark.parametrize(
    ("reply", "code"), [("<think>Hm, let me", "LLM_FAILED"), ("<think>Hm.</think>", "NOTHING_TO_SAY")]
)
async def test_a_reply_that_is_all_thought_says_how_to_get_more(
    store: Store, tmp_path: Path, reply: str, code: str
) -> None:
    session = await opened(store, tmp_path, BreakingLLM(reply, error=None))
    await session.begin(chat(1), tone_chain(CONFIG))
    (error,) = of(await until(store, "error"), "error")
    await session.close()
    assert error["code"] == code
    assert ("OPENTALKING_LLM_MAX_TOKENS" in error["message"]) == (code == "LLM_FAILED")


async def test_an_interruption_after_the_break_is_an_interruption(store: Store, tmp_path: Path) -> None:
    session = await opened(store, tmp_path, BreakingLLM("This is one. This is another. And a th"))
    async with Playout(tmp_path, until=1) as playout:
        await session.begin(chat(1), tone_chain(CONFIG))
        assert session._task is not None
        await asyncio.wait([session._task])
        session.raise_generation(2)
        told = await until(store, "speech.ended")
        await session.close()
    (ended,) = of(told, "speech.ended")
    assert ended["interrupted"] and "another" not in ended["text"]
    assert [error["code"] for error in of(told, "error")] == ["LLM_FAILED"]
    assert not playout.ended.is_set()


async def test_of_an_error_that_nobody_foresaw_only_the_log_has_the_words(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    session = await opened(store, tmp_path, BreakingLLM(error=KeyError("https://api/v1?key=sk-SECRET")))
    await session.begin(chat(1), tone_chain(CONFIG))
    with caplog.at_level(logging.ERROR):
        told = await until(store, "error")
    await session.close()
    (error,) = of(told, "error")
    assert (error["code"], error["message"]) == ("CHAT_FAILED", "unforeseen: KeyError")

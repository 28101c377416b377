"""A session's turns in the speech process, with real rings and a real blackboard; the test is the playout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import msgspec
import pytest

from opentalking.config import Settings
from opentalking.llm.base import Message, Spent, Usage
from opentalking.store import Chat, Store
from shm import Cursor, Mark, MarkKind, Writer
from tests.support.tone import tone_chain
from tests.unit.store.sessions import SID, new_session
from workers import links
from workers.conversation import CUT_MARK_WAIT_S, ConversationSession

CONFIG = Settings(node="test")


class EndlessLLM:
    """Never stops writing until its stream is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def warmup(self) -> None:
        """Nothing to load."""

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "This goes on for a while longer. "
                await asyncio.sleep(0)
        finally:
            self.closed.set()
            if spent is not None:
                spent(Usage(9, 3))

    async def aclose(self) -> None:
        """Nothing to let go of."""


def chat(generation: int) -> Chat:
    return Chat(SID, generation, "Hello?", time.time())


async def conversation(store: Store, folder: Path, llm: EndlessLLM) -> ConversationSession:
    await store.create_session(new_session())
    session = await store.get_session(SID)
    assert session is not None
    return ConversationSession(session, folder, CONFIG, store, llm)


@pytest.mark.parametrize("first", ["playout", "command"])
async def test_a_turn_is_no_longer_made_whoever_hears_of_its_interruption_first(
    store: Store, tmp_path: Path, first: str
) -> None:
    llm = EndlessLLM()
    session = await conversation(store, tmp_path, llm)
    board, pcm = links.open_board(tmp_path, Writer.RTC), links.pcm_consumer(tmp_path)
    sounding = asyncio.Event()
    pcm.listen(sounding.set)
    await session.begin(chat(1), tone_chain(CONFIG))
    await asyncio.wait_for(sounding.wait(), 10)
    board.write_cursor(Cursor(1, 0, 960))
    board.mark(Mark(MarkKind.FRAGMENT_STARTED, 1, 0, 0, time.time()))
    if first == "playout":
        board.raise_generation(2)
        board.mark(Mark(MarkKind.TURN_CUT, 1, 0, 960, time.time()))
    else:
        session.raise_generation(2)
    await asyncio.wait_for(llm.closed.wait(), 10)
    session.raise_generation(2)
    await session.close()
    pcm.close()
    board.close()


async def test_a_chat_interrupted_before_its_first_step_is_over_and_the_next_one_is_heard(
    store: Store, tmp_path: Path
) -> None:
    llm = EndlessLLM()
    session = await conversation(store, tmp_path, llm)
    await session.begin(chat(1), tone_chain(CONFIG))
    session.raise_generation(2)  # no step of the turn's task has run yet
    await session.begin(chat(3), tone_chain(CONFIG))
    pcm = links.pcm_consumer(tmp_path)
    sounding = asyncio.Event()
    pcm.listen(sounding.set)
    await asyncio.wait_for(sounding.wait(), 10)
    slot = pcm.front()
    assert slot is not None and slot.generation == 3
    await session.close()
    assert llm.closed.is_set()
    del slot
    pcm.close()


async def test_another_voice_speaks_from_the_next_turn_on_and_the_one_in_progress_keeps_its_own(
    store: Store, tmp_path: Path
) -> None:
    session = await conversation(store, tmp_path, EndlessLLM())
    events = store.events(SID, ping_s=10)

    async def spoken_by() -> tuple[int, str, str]:
        while (event := await anext(events)) is None or event.data.get("stage") != "start":
            pass
        return event.data["generation"], event.data["provider"], event.data["voice"]

    await store.set_voice(SID, "parrot", "polly", "")
    await session.begin(chat(1), tone_chain(CONFIG))
    assert await spoken_by() == (1, "tone", "")  # nobody told this process yet
    await session.choose_voice()
    assert await spoken_by() == (1, "tone", "")
    session.raise_generation(2)
    await session.begin(chat(3), tone_chain(CONFIG))
    while (latest := await spoken_by())[0] == 1:
        assert latest == (1, "tone", "")
    assert latest == (3, "parrot", "polly")
    await session.begin(Chat(SID, 4, "Hello?", time.time(), tts_provider="tone", tts_voice="high"), tone_chain(CONFIG))
    while (latest := await spoken_by())[0] == 3:
        pass
    assert latest == (4, "tone", "high")  # what a turn itself names is stronger
    await session.close()
    await events.aclose()


async def test_a_session_that_ends_in_mid_speech_is_not_looked_at_any_more(store: Store, tmp_path: Path) -> None:
    unforeseen: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unforeseen.append(context))
    session = await conversation(store, tmp_path, EndlessLLM())
    board = links.open_board(tmp_path, Writer.RTC)
    await session.begin(chat(1), tone_chain(CONFIG))
    board.write_cursor(Cursor(1, 0, 960))
    session.raise_generation(2)  # the playout's mark is waited for, for a moment
    await session.close()
    over = loop.create_future()
    loop.call_later(2 * CUT_MARK_WAIT_S, over.set_result, None)
    await over
    board.close()
    assert unforeseen == []


async def test_a_turn_in_progress_can_be_read_from_the_hash_until_it_is_over(store: Store, tmp_path: Path) -> None:
    session = await conversation(store, tmp_path, EndlessLLM())
    await session.begin(chat(1), tone_chain(CONFIG))
    thinking = store.events(SID, ping_s=10)
    while (event := await anext(thinking)) is None or event.event != "status":
        pass
    assert await store.session_hash(SID) | {"turn": "1"} == await store.session_hash(SID)
    session.raise_generation(2)
    while (event := await anext(thinking)) is None or event.event != "speech.ended":
        pass
    assert msgspec.json.decode((await store.session_hash(SID))["last_turn"])["interrupted"] is True
    assert (await store.session_hash(SID))["turn"] == "0"
    await session.close()
    await thinking.aclose()


@pytest.mark.parametrize("ahead", [False, True], ids=["asked now", "asked ahead"])
async def test_what_an_interrupted_answer_took_is_told_once(store: Store, tmp_path: Path, ahead: bool) -> None:
    session = await conversation(store, tmp_path, EndlessLLM())
    if ahead:
        session.ask_ahead("Hello?")
    await session.begin(chat(1), tone_chain(CONFIG))
    events = store.events(SID, ping_s=10)
    while (event := await anext(events)) is None or event.event != "llm":
        pass
    session.raise_generation(2)
    assert session._task is not None
    await asyncio.wait([session._task])
    await session.close()
    told = [event.data for event in await store.past_events(SID) if event.event == "llm.usage"]
    assert [(usage["generation"], usage["prompt_tokens"], usage["completion_tokens"]) for usage in told] == [(1, 9, 3)]
    await events.aclose()

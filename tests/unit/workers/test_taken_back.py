"""A reply that turns out to have begun within a thought: what of it is not yet spoken is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from opentalking.llm.base import Message, Spent
from opentalking.llm.thoughts import Habit
from opentalking.store import Store
from tests.support.playout import Playout
from tests.support.tone import tone_chain
from tests.unit.store.sessions import SID, new_session
from tests.unit.workers.test_breaking_off import of, until
from tests.unit.workers.test_conversation import CONFIG, chat
from workers.conversation import ConversationSession

THOUGHT = "And so on, it thinks. " * 60


class ThinkingLLM:
    """Begins within a thought. Writes its first sentence, then waits until it may go on."""

    def __init__(self, may_go_on: asyncio.Event) -> None:
        self._may_go_on = may_go_on

    async def warmup(self) -> None:
        """Nothing to load."""

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        yield "They say hello. So"
        await self._may_go_on.wait()
        yield " I should, too. " + THOUGHT
        yield "That is\n</th"
        yield "ink>\n\nHello! How are you?"

    async def aclose(self) -> None:
        """Nothing to let go of."""


@pytest.mark.parametrize("known", [False, True], ids=["of a new model", "of one that is known"])
async def test_a_thought_that_is_known_only_by_its_end_is_taken_back(store: Store, tmp_path: Path, known: bool) -> None:
    await store.create_session(new_session())
    found = await store.get_session(SID)
    assert found is not None
    habit = Habit(begins_thinking=known)
    may_go_on = asyncio.Event()
    session = ConversationSession(found, tmp_path, CONFIG, store, ThinkingLLM(may_go_on), habit=habit)
    async with Playout(tmp_path) as playout:
        await session.begin(chat(1), tone_chain(CONFIG))
        if not known:
            await asyncio.wait_for(playout.began.wait(), 20)
        may_go_on.set()
        told = await until(store, "speech.ended")
        await session.close()
    (ended,) = of(told, "speech.ended")
    assert ended["text"] == ("Hello! How are you?" if known else "They say hello. Hello! How are you?")
    assert habit.begins_thinking and not of(told, "error")

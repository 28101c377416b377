"""A conversation that is too long for its model goes on all the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from opentalking.llm.base import LLMError, Message, Spent, Usage
from opentalking.llm.conversation import Conversation
from workers.ahead import HeadStart
from workers.answer import answer


class SmallLLM:
    """Takes so many messages at most."""

    def __init__(self, takes: int, code: str = "too_long", says: str = "") -> None:
        self._takes, self._code, self._says = takes, code, says
        self.asked: list[int] = []

    async def warmup(self) -> None:
        """Nothing to load."""

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        self.asked.append(len(messages))
        if self._says:
            yield self._says
        if len(messages) > self._takes:
            raise LLMError(self._code, "too much")
        yield "Yes."
        if spent is not None:
            spent(Usage(len(messages), 1))

    async def aclose(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def conversation() -> Conversation:
    conversation = Conversation("Be brief.", 100)
    for number in range(10, 18):
        conversation.add_user(f"{number}?")
        conversation.begin_assistant()
        conversation.commit_heard("So.", interrupted=False)
    conversation.add_user("And now?")
    conversation.begin_assistant()
    return conversation


@pytest.mark.parametrize("ahead", [False, True], ids=["asked now", "asked ahead"])
async def test_what_is_too_long_is_shortened_for_good_and_asked_again(conversation: Conversation, ahead: bool) -> None:
    llm, spent = SmallLLM(takes=7), list[Usage]()
    under_way = HeadStart(llm, conversation.messages()) if ahead else None
    assert [delta async for delta in answer(llm, conversation, under_way, spent.append)] == ["Yes."]
    assert llm.asked == [18, 10, 6] and spent == [Usage(6, 1)]
    assert conversation.messages() == [
        Message("system", "Be brief."),
        *(Message(role, text) for n in (16, 17) for role, text in (("user", f"{n}?"), ("assistant", "So."))),  # type: ignore[arg-type]
        Message("user", "And now?"),
    ]


@pytest.mark.parametrize(
    ("llm", "asked"),
    [(SmallLLM(1), [18, 10, 6, 4, 2]), (SmallLLM(1, code="failed"), [18]), (SmallLLM(1, says="Well, "), [18])],
    ids=["the question alone is too long", "another failure", "it has begun to speak"],
)
async def test_what_cannot_be_helped_is_raised(conversation: Conversation, llm: SmallLLM, asked: list[int]) -> None:
    with pytest.raises(LLMError):
        async for _ in answer(llm, conversation, None, lambda usage: None):
            pass
    assert llm.asked == asked

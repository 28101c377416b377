"""The language model asked before the turn is over: its answer is kept if the words stay what they were.

    speech  ████████████·····················|  turn over
    words               └── recognised ──┐   │
    model                                └───┼── deltas, kept here … ──> the turn, if the final words agree
                                             └── otherwise closed, and asked again

Only a question that nobody has answered yet is asked ahead, so there is at most one a session.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from opentalking.llm.base import LLMAdapter, Message, Spent, Usage

_APART = re.compile(r"[\W_]+")


class HeadStart:
    """A request that is under way. `first_token_at`: Unix seconds, None before it."""

    def __init__(self, llm: LLMAdapter, messages: Sequence[Message]) -> None:
        self.first_token_at: float | None = None
        self._usage: Usage | None = None
        self._messages = list(messages)
        self._deltas: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._read(llm))
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())  # raised to who takes it over

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether this is the answer to `messages`, but for how the question is punctuated."""
        *before, asked = self._messages
        *now, wanted = messages
        return before == now and same_words(asked.content, wanted.content)

    async def deltas(self, spent: Spent) -> AsyncGenerator[str, None]:
        """What came so far, and the rest as it comes. Closing it closes the request. Raises LLMError."""
        try:
            while (delta := await self._deltas.get()) is not None:
                yield delta
            await self._task
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])
            if self._usage is not None:
                spent(self._usage)

    def drop(self) -> None:
        """Nobody wants it any more."""
        self._task.cancel()

    def _spent(self, usage: Usage) -> None:
        self._usage = usage

    async def _read(self, llm: LLMAdapter) -> None:
        try:
            async with aclosing(llm.chat_stream(self._messages, self._spent)) as stream:
                async for delta in stream:
                    if self.first_token_at is None:
                        self.first_token_at = time.time()
                    self._deltas.put_nowait(delta)
        finally:
            self._deltas.put_nowait(None)


class Ahead:
    """A session's request ahead, if there is one."""

    def __init__(self, llm: LLMAdapter) -> None:
        self._llm = llm
        self._request: HeadStart | None = None

    def ask(self, messages: Sequence[Message]) -> None:
        """In place of what was asked before, unless that was the same."""
        if self._request is None or not self._request.fits(messages):
            self.drop()
            self._request = HeadStart(self._llm, messages)

    def take(self, messages: Sequence[Message]) -> HeadStart | None:
        """The request, for good, if it is this one; what was asked in vain is closed."""
        request = self._request
        if request is not None and request.fits(messages):
            self._request = None
            return request
        self.drop()
        return None

    def drop(self) -> None:
        if self._request is not None:
            self._request.drop()
            self._request = None


def same_words(one: str, other: str) -> bool:
    """Whether two transcripts say the same: neither case nor punctuation counts."""
    return _words(one) == _words(other)


def _words(text: str) -> str:
    return " ".join(filter(None, _APART.split(text.casefold())))

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

from opentalking.llm.base import LLMAdapter, Message

_APART = re.compile(r"[\W_]+")


class HeadStart:
    """A request that is under way. `first_token_at`: Unix seconds, None before it."""

    def __init__(self, llm: LLMAdapter, messages: Sequence[Message]) -> None:
        self.first_token_at: float | None = None
        self._messages = list(messages)
        self._deltas: asyncio.Queue[str | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._read(llm))
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())  # raised to who takes it over

    def fits(self, messages: Sequence[Message]) -> bool:
        """Whether this is the answer to `messages`, but for how the question is punctuated."""
        *before, asked = self._messages
        *now, wanted = messages
        return before == now and same_words(asked.content, wanted.content)

    async def deltas(self) -> AsyncGenerator[str, None]:
        """What came so far, and the rest as it comes. Closing it closes the request. Raises LLMError."""
        try:
            while (delta := await self._deltas.get()) is not None:
                yield delta
            await self._task
        finally:
            self._task.cancel()

    def drop(self) -> None:
        """Nobody wants it any more."""
        self._task.cancel()

    async def _read(self, llm: LLMAdapter) -> None:
        try:
            async with aclosing(llm.chat_stream(self._messages)) as stream:
                async for delta in stream:
                    if self.first_token_at is None:
                        self.first_token_at = time.time()
                    self._deltas.put_nowait(delta)
        finally:
            self._deltas.put_nowait(None)


def same_words(one: str, other: str) -> bool:
    """Whether two transcripts say the same: neither case nor punctuation counts."""
    return _words(one) == _words(other)


def _words(text: str) -> str:
    return " ".join(filter(None, _APART.split(text.casefold())))

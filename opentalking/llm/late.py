"""A language model that is loaded when it is first wanted: its client library alone takes half a second to import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from opentalking.llm.base import LLMAdapter, Message, Spent


class LateLLM:
    """LLMAdapter; `make` runs once, in a thread."""

    def __init__(self, make: Callable[[], LLMAdapter]) -> None:
        self._make = make
        self._loading: asyncio.Task[LLMAdapter] | None = None

    async def load(self) -> LLMAdapter:
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._make))
        return await asyncio.shield(self._loading)  # one who no longer wants it does not stop it for the others

    async def warmup(self) -> None:
        await (await self.load()).warmup()

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        model = await self.load()
        async with aclosing(model.chat_stream(messages, spent)) as stream:
            async for delta in stream:
                yield delta

    async def aclose(self) -> None:
        if self._loading is not None:
            await (await self._loading).aclose()

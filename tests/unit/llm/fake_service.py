"""An OpenAI-compatible service whose replies are scripted: what it sends, when it stalls, how it breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from opentalking.llm.base import Message
from opentalking.llm.openai_compatible import OpenAICompatibleLLM

QUESTION = [Message("system", "Be brief."), Message("user", "Hi")]
EMPTY = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}'
WORD = 'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}'

Script = Callable[["Reply"], Awaitable[web.StreamResponse]]


class Reply:
    """One request and the means to answer it."""

    def __init__(self, request: web.Request, body: dict[str, Any]) -> None:
        self.request = request
        self.body = body
        self._response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})

    async def open(self) -> web.StreamResponse:
        await self._response.prepare(self.request)
        return self._response

    async def delta(self, text: str | None) -> None:
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        await self.raw(f"data: {json.dumps(chunk)}\n\n")

    async def raw(self, text: str) -> None:
        await self._response.write(text.encode())

    async def say(self, *deltas: str | None) -> web.StreamResponse:
        await self.open()
        for delta in deltas:
            await self.delta(delta)
        await self.raw("data: [DONE]\n\n")
        return self._response

    def cut(self) -> None:
        """Break the connection as a crashed server does."""
        assert self.request.transport is not None
        self.request.transport.abort()


def says(*deltas: str | None) -> Script:
    return lambda reply: reply.say(*deltas)


def sends(*events: str) -> Script:
    """A stream as it was recorded, event by event."""

    async def script(reply: Reply) -> web.StreamResponse:
        response = await reply.open()
        for event in events:
            await reply.raw(event + "\n\n")
        return response

    return script


class FakeService:
    """Answers the n-th request with the n-th script; `disconnected` is set when a client leaves mid-reply."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.bodies: list[dict[str, Any]] = []
        self.peers: set[object] = set()
        self.asked = asyncio.Event()
        self.disconnected = asyncio.Event()
        self.base_url = ""

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.asked.set()
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        try:
            return await self.scripts.pop(0)(Reply(request, body))
        except (asyncio.CancelledError, ConnectionError):
            self.disconnected.set()
            raise

    async def _models(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({"object": "list", "data": []})


@asynccontextmanager
async def fake_service() -> AsyncIterator[FakeService]:
    service = FakeService()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", service._chat)
    app.router.add_get("/v1/models", service._models)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        service.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield service
    finally:
        await runner.cleanup()


async def answer(llm: OpenAICompatibleLLM) -> list[str]:
    return [delta async for delta in llm.chat_stream(QUESTION)]

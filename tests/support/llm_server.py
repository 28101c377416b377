"""A stand-in for a cloud language model: OpenAI's chat completion stream, with a fixed delay before the first token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

REPLY = "This is the answer. It goes on for a while, so that there is something to interrupt. And on. And on it goes."


@dataclass
class LLMServer:
    """`async with LLMServer(delay_s=0.1) as llm: llm.base_url`. `requests` keeps every body received."""

    delay_s: float = 0.0
    reply: str = REPLY
    status: int = 200  # anything else: every request is refused with it
    refusal: str = "refused by the stand-in"  # in these words; `{key}` is what it was asked with
    breaks_off_after: int | None = None  # words, after which the connection is reset
    word_pause_s: float = 0.0
    requests: list[dict[str, object]] = field(default_factory=list)
    cancelled: int = 0
    base_url: str = ""
    port: int = 0
    host: str = "127.0.0.1"
    deltas: Callable[[str], list[str]] | None = None  # what is sent for a prompt, cut as it is here; else `reply`

    async def __aenter__(self) -> LLMServer:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "stand-in", "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        words, word_pause_s = [word + " " for word in self.reply.split(" ")], self.word_pause_s
        if self.deltas is not None:
            words = self.deltas(body["messages"][-1]["content"])
        if self.status != 200:
            key = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return web.json_response({"error": {"message": self.refusal.format(key=key)}}, status=self.status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await asyncio.sleep(self.delay_s)
            await response.prepare(request)
            for word in words[: self.breaks_off_after]:
                delta = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "x", "choices": [delta]}
                await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
                await asyncio.sleep(word_pause_s)
            if self.breaks_off_after is not None and request.transport is not None:
                request.transport.abort()
                return response
            await response.write(b"data: [DONE]\n\n")
        except (asyncio.CancelledError, ConnectionResetError):
            self.cancelled += 1
            raise
        return response

"""Any service that speaks OpenAI's chat completions: one pooled client, streamed deltas, deadlines, one retry.

    chat_stream() --+-- connect within llm_connect_timeout_s
                    +-- first words within llm_first_token_timeout_s, both attempts together
                    +-- then no wait for words longer than llm_first_token_timeout_s

What an answer took is asked for (`stream_options`); a service that does not know this is asked without.

A request is sent once more when it fails before its first words for a reason that may pass (no connection, 5xx, an
error or nonsense in the stream, a stream that ends at once); after them a failure is final, because they may have been
spoken. Closing the generator closes the HTTP response, which tells the server to stop generating.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2  # the client library of openai>=3
import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from opentalking.config import Settings
from opentalking.llm.base import ALL_THOUGHT, LLMError, Message, Spent
from opentalking.llm.openai_errors import UnusableReply, llm_errors
from opentalking.llm.openai_stream import Reply

_ATTEMPTS = 2
_MAY_PASS = ("unreachable", "failed")
_KEEPALIVE_S = (
    300.0  # a conversation pauses longer than httpx's default of 5 s; a new TLS handshake costs a turn 100 ms
)
_NO_KEY = "none"  # the client insists on a key, local servers do not


class OpenAICompatibleLLM:
    """LLMAdapter over one endpoint; make one a process, it holds the connection pool."""

    def __init__(self, settings: Settings, base_url: str, api_key: str, model: str) -> None:
        self._model = model
        self._secrets = (api_key, urlsplit(base_url).password or "")
        self._max_tokens = settings.llm_max_tokens
        self._first_token_s = settings.llm_first_token_timeout_s
        self._tells_usage = True
        timeout = httpx2.Timeout(self._first_token_s, connect=settings.llm_connect_timeout_s)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=_KEEPALIVE_S)
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or _NO_KEY,
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=timeout, limits=limits, trust_env=not _is_local(base_url)
            ),
        )

    async def warmup(self) -> None:
        """Open the pooled connection. Raises LLMError when the endpoint cannot be reached or refuses the key."""
        with self._errors(), suppress(openai.NotFoundError, openai.BadRequestError):  # reachable, but lists no models
            await self._client.models.list()

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        """Text deltas, never empty. Close the generator to close the request. Raises LLMError."""
        with self._errors():
            reply, text = await self._open(messages)
            try:
                while text:
                    yield text
                    text = await reply.words()
            finally:
                if spent is not None and reply.usage is not None:
                    spent(reply.usage)
                await reply.close()

    async def aclose(self) -> None:
        await self._client.close()

    def _errors(self) -> AbstractContextManager[None]:
        return llm_errors(self._secrets)

    async def _open(self, messages: Sequence[Message]) -> tuple[Reply, str]:
        """A reply that has begun to speak, and its first words."""
        async with asyncio.timeout(self._first_token_s):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    with self._errors():
                        return await self._begin(messages)
                except LLMError as error:
                    if attempt == _ATTEMPTS or error.code not in _MAY_PASS:
                        raise  # a second attempt after a timeout would only double the silence
        raise AssertionError("unreachable")

    async def _begin(self, messages: Sequence[Message]) -> tuple[Reply, str]:
        wire: list[Any] = [{"role": message.role, "content": message.content} for message in messages]
        reply = Reply(await self._asked(wire), self._first_token_s)
        try:
            if text := await reply.words():
                return reply, text
            if reply.finish_reason == "length":
                raise LLMError("max_tokens", ALL_THOUGHT)
            raise UnusableReply("the language model ended its reply without a word")
        except BaseException:
            await reply.close()
            raise

    async def _asked(self, wire: list[Any]) -> AsyncStream[ChatCompletionChunk]:
        usage: dict[str, Any] = {"stream_options": {"include_usage": True}} if self._tells_usage else {}
        try:
            stream: AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(
                model=self._model, messages=wire, stream=True, max_tokens=self._max_tokens, **usage
            )
            return stream
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if not (usage and "stream_options" in error.message):
                raise
            self._tells_usage = False
            return await self._asked(wire)


def _is_local(url: str) -> bool:
    """Whether the endpoint is on this machine, where no proxy leads."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")

"""Any service that speaks OpenAI's chat completions: one pooled client, streamed deltas, deadlines, one retry.

    chat_stream() --+-- connect within llm_connect_timeout_s
                    +-- first delta within llm_first_token_timeout_s, both attempts together
                    +-- then no pause longer than llm_first_token_timeout_s

What an answer took is asked for (`stream_options`); a service that does not know this is asked without.

A request is sent once more when it fails before its first delta for a reason that may pass (no connection, 5xx,
a stream that ends at once); after the first delta a failure is final, because words may have been spoken. Closing the
generator closes the HTTP response, which tells the server to stop generating.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2  # the client library of openai>=3
import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from opentalking.config import Settings
from opentalking.llm.base import LLMError, Message, Spent, Usage

_ATTEMPTS = 2
_KEEPALIVE_S = (
    300.0  # a conversation pauses longer than httpx's default of 5 s; a new TLS handshake costs a turn 100 ms
)
_NO_KEY = "none"  # the client insists on a key, local servers do not


class OpenAICompatibleLLM:
    """LLMAdapter over one endpoint; make one a process, it holds the connection pool."""

    def __init__(self, settings: Settings, base_url: str, api_key: str, model: str) -> None:
        self._model = model
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
        with _llm_errors(), suppress(openai.NotFoundError, openai.BadRequestError):  # reachable, but lists no models
            await self._client.models.list()

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        """Text deltas, never empty. Close the generator to close the request. Raises LLMError."""
        with _llm_errors():
            stream, first = await self._open(messages)
            try:
                yield first
                async for chunk in stream:
                    if text := _delta(chunk):
                        yield text
                    if chunk.usage is not None and spent is not None:
                        spent(Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens))
            finally:
                await stream.close()

    async def aclose(self) -> None:
        await self._client.close()

    async def _open(self, messages: Sequence[Message]) -> tuple[AsyncStream[ChatCompletionChunk], str]:
        """A stream that has begun to speak, and its first delta."""
        async with asyncio.timeout(self._first_token_s):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    return await self._begin(messages)
                except (openai.APITimeoutError, httpx2.TimeoutException):
                    raise  # a second attempt would only double the silence
                except (openai.APIConnectionError, openai.InternalServerError, httpx2.TransportError, _SilentStream):
                    if attempt == _ATTEMPTS:
                        raise
        raise AssertionError("unreachable")

    async def _begin(self, messages: Sequence[Message]) -> tuple[AsyncStream[ChatCompletionChunk], str]:
        wire: list[Any] = [{"role": message.role, "content": message.content} for message in messages]
        stream = await self._asked(wire)
        try:
            async for chunk in stream:
                if text := _delta(chunk):
                    return stream, text
            raise _SilentStream("the model ended its reply without a word")
        except BaseException:
            await stream.close()
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


class _SilentStream(Exception):
    """The stream ended before its first delta."""


def _is_local(url: str) -> bool:
    """Whether the endpoint is on this machine, where no proxy leads."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _delta(chunk: ChatCompletionChunk) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


@contextmanager
def _llm_errors() -> Iterator[None]:
    """What the client and the network raise, as LLMError with a stable code."""
    try:
        yield
    except (openai.APITimeoutError, httpx2.TimeoutException, TimeoutError) as error:
        raise LLMError("timeout", "the language model did not answer in time") from error
    except (openai.APIConnectionError, httpx2.TransportError) as error:
        raise LLMError("unreachable", f"the language model cannot be reached: {error}") from error
    except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
        raise LLMError("unauthorized", "the language model refuses the key; check OPENTALKING_LLM_API_KEY") from error
    except openai.RateLimitError as error:
        raise LLMError("rate_limited", "the language model's rate limit or quota is used up") from error
    except openai.InternalServerError as error:
        raise LLMError("failed", f"the language model failed with status {error.status_code}") from error
    except openai.APIStatusError as error:
        raise LLMError("bad_request", f"the language model refuses the request: {error.message}") from error
    except (openai.APIError, _SilentStream, ValueError) as error:  # ValueError: a chunk that is not JSON
        raise LLMError("failed", f"the language model failed: {error}") from error

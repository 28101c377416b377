"""One streamed reply of a chat completion: its words as they come, and what is known at its end.

Services differ in what else their chunks hold: none of it may take the words with it. Deadlines are for words: comments
that keep a connection awake, and deltas without any, do not prolong a wait.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai
from openai import AsyncStream
from openai.types.chat import ChatCompletionChunk

from opentalking.llm.base import Usage

_COUNT_S = 1.0  # after a reply's last words: what it took may follow, but nothing is waited for long


class Reply:
    """`usage` and `finish_reason` are as far as they are known."""

    def __init__(self, stream: AsyncStream[ChatCompletionChunk], pause_s: float) -> None:
        """`pause_s`: the longest wait for words."""
        self.usage: Usage | None = None
        self.finish_reason = ""
        self._stream = stream
        self._pause_s = pause_s

    async def words(self) -> str:
        """The next words; "" at the end of the reply. Raises what the client and the network do, and TimeoutError."""
        try:
            async with asyncio.timeout(_COUNT_S if self.finish_reason else self._pause_s) as deadline:
                while True:
                    chunk = await anext(self._stream)
                    self._note(chunk)
                    if text := _text(chunk):
                        return text
                    if self.finish_reason:
                        deadline.reschedule(min(deadline.when() or 0, asyncio.get_running_loop().time() + _COUNT_S))
        except StopAsyncIteration:
            return ""
        except (TimeoutError, openai.APIError, httpx2.TransportError, ValueError):
            if self.finish_reason:  # all was said
                return ""
            raise

    async def close(self) -> None:
        """Close the response, which tells the server to stop."""
        await self._stream.close()

    def _note(self, chunk: Any) -> None:
        self.usage = _usage(chunk) or self.usage
        self.finish_reason = getattr(_choice(chunk), "finish_reason", None) or self.finish_reason


def _choice(chunk: Any) -> Any:
    choices = getattr(chunk, "choices", None)
    return choices[0] if isinstance(choices, list) and choices else None


def _text(chunk: Any) -> str:
    """Of the first choice; a list of parts, as Mistral's thinking models send it, is its texts."""
    content = getattr(getattr(_choice(chunk), "delta", None), "content", None)
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _usage(chunk: Any) -> Usage | None:
    usage = getattr(chunk, "usage", None)
    prompt, completion = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    return Usage(prompt, completion) if isinstance(prompt, int) and isinstance(completion, int) else None

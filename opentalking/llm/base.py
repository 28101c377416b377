"""The seam to language models: messages in, a stream of text deltas out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Literal, Protocol

import msgspec


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation, in the wire shape of OpenAI-compatible services."""

    role: Literal["system", "user", "assistant"]
    content: str


class Usage(msgspec.Struct, frozen=True):
    """What an answer took, tokens, as the service counts them."""

    prompt_tokens: int
    completion_tokens: int


Spent = Callable[[Usage], None]

ALL_THOUGHT = "the language model thought until its tokens were spent; raise OPENTALKING_LLM_MAX_TOKENS"


class LLMAdapter(Protocol):
    """A chat model; one instance a process, with one pooled connection."""

    async def warmup(self) -> None: ...

    def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        """Text deltas. Closing the iterator (aclose, cancel) closes the request. Raises LLMError.

        `spent` is called at most once, when an answer is over: with what it took, as far as the service told it."""

    async def aclose(self) -> None: ...


class LLMError(Exception):
    """The model cannot answer.

    `code` is stable: unreachable, timeout, unauthorized, rate_limited, bad_request, too_long (the conversation, for the
    model), max_tokens (all of them were spent without a word), failed. The message holds no key.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

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


class LLMAdapter(Protocol):
    """A chat model; one instance a process, with one pooled connection."""

    async def warmup(self) -> None: ...

    def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        """Text deltas. Closing the iterator (aclose, cancel) closes the request. Raises LLMError.

        `spent` is called once at the end of an answer, if the service tells what it took."""

    async def aclose(self) -> None: ...


class LLMError(Exception):
    """The model cannot answer.

    `code` is stable: unreachable, timeout, unauthorized, rate_limited, bad_request, failed.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

"""What OpenAI's client and the network raise, as LLMError: a stable code, and words without the key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx2
import openai

from opentalking.llm.base import LLMError
from opentalking.redaction import redacted

_TOO_LONG = re.compile(  # as llama.cpp, OpenAI, vLLM, Mistral, Groq and Anthropic say it
    r"exceed_context_size|context[_ ](?:length|size|window)|(?:prompt|input) is too long|reduce the length of the mess",
    re.IGNORECASE,
)
_REFUSALS = range(400, 500)


class UnusableReply(Exception):
    """A stream that ended, but was no answer."""


@contextmanager
def llm_errors(secrets: Sequence[str]) -> Iterator[None]:
    """Whatever is raised within, as LLMError; `secrets` are never told."""
    try:
        yield
    except LLMError:
        raise
    except Exception as error:
        code, words = _told(error)
        raise LLMError(code, redacted(" ".join(words.split()), secrets)) from error


def _told(error: Exception) -> tuple[str, str]:
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        return "timeout", "the language model did not answer in time"
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError):
        return "unreachable", f"the language model cannot be reached: {error.__cause__ or error}"
    if isinstance(error, openai.APIError):
        return _answered(error, _status(error))
    if isinstance(error, UnusableReply):
        return "failed", str(error)
    if isinstance(error, ValueError):
        return "failed", "the language model failed: it sent what is not JSON"
    return "failed", f"the language model failed: {type(error).__name__}"


def _answered(error: openai.APIError, status: int | None) -> tuple[str, str]:
    """An error that the service itself told, by its status or in its stream."""
    if status != 429 and _TOO_LONG.search(f"{error.code} {error.type} {error.message}"):
        return "too_long", f"the conversation is too long for the language model: {error.message}"
    if status in (401, 403):
        return "unauthorized", "the language model refuses the key; check OPENTALKING_LLM_API_KEY"
    if status == 429:
        return "rate_limited", "the language model's rate limit or quota is used up"
    if status in _REFUSALS:
        return "bad_request", f"the language model refuses the request: {error.message}"
    if isinstance(error, openai.APIStatusError):
        return "failed", f"the language model failed with status {status}"
    return "failed", f"the language model failed: {error.message}"


def _status(error: openai.APIError) -> int | None:
    """Its HTTP status; of an error in a stream, what its `code` says if that is a number."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    return int(error.code) if error.code and error.code.isascii() and error.code.isdigit() else None

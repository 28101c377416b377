"""The seam to voices: text in, a stream of PCM out, abortable at every await."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from opentalking.types import AudioChunk


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice as `GET /voices` lists it."""

    provider: str
    voice_id: str
    display_label: str
    language: str


class TTSAdapter(Protocol):
    """A voice engine or service; one instance a process, shared by its sessions.

    Deadlines, retries and what speaks in its place are not an adapter's business (opentalking/tts/policy.py): it
    speaks once, and says by TTSError what went wrong. Its class is called with the Settings, and has a classmethod
    `missing(settings)` (opentalking/plugins.py). docs/models-elsewhere.md shows a whole one.
    """

    provider: str

    @property
    def sample_rates(self) -> tuple[int, ...]:
        """Hz of the PCM it may give: the best that the service has."""

    @property
    def any_voice(self) -> bool:
        """Whether it may know more voices than it lists: then only it can say that there is no such voice."""

    async def warmup(self) -> None:
        """Load or connect, so that the first sentence is not slow. Raises TTSError with what is missing."""

    def voices(self) -> list[Voice]: ...

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        """PCM of one fragment as it is made, all of one rate. Closing the iterator (aclose, cancel) aborts the work.

        Raises TTSError."""

    async def aclose(self) -> None: ...


@runtime_checkable
class KnowsItsScripts(Protocol):
    """A TTSAdapter that cannot read everything. One that does not say so is taken to read any text."""

    def reads(self, script: str, voice: str | None = None) -> bool:
        """Whether a voice (None: its default) reads a script of opentalking/tts/scripts.py."""


TTSCode = Literal["unreachable", "timeout", "unauthorized", "rate_limited", "bad_request", "broken", "failed"]


class TTSError(Exception):
    """A voice cannot be used; the message says what to do about it, and never holds a key.

    unreachable    no connection, or it was lost          may pass
    timeout        it does not answer, or stalls          may pass
    rate_limited   too much was asked; `retry_after_s`    may pass
    failed         the service itself failed (5xx)        may pass
    broken         what it sent is no sound               may pass
    unauthorized   the key is refused                     will not pass
    bad_request    no such voice, model or text           will not pass
    """

    def __init__(self, message: str, code: TTSCode = "bad_request", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.code not in ("unauthorized", "bad_request")


def spoken_text(text: str) -> str:
    """Text that every engine's C string can hold: no NUL, no lone surrogate."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")

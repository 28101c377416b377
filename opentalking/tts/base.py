"""The seam to voices: text in, a stream of PCM out, abortable at every await."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from opentalking.types import AudioChunk


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice as `GET /voices` lists it."""

    provider: str
    voice_id: str
    display_label: str
    language: str


class TTSAdapter(Protocol):
    """A voice engine or service; one instance a process, shared by its sessions."""

    provider: str

    async def warmup(self) -> None:
        """Load and speak once, so that the first sentence is not slow. Raises TTSError with what is missing."""

    def voices(self) -> list[Voice]: ...

    def synthesize_stream(self, text: str, voice: str | None = None) -> AsyncGenerator[AudioChunk, None]:
        """PCM of one fragment as it is made. Closing the iterator (aclose, cancel) aborts the work behind it."""

    async def aclose(self) -> None: ...


class TTSError(Exception):
    """A voice cannot be used; the message says what to do about it."""


def spoken_text(text: str) -> str:
    """Text that every engine's C string can hold: no NUL, no lone surrogate."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")

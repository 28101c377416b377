"""The seam to recognisers: a stream of PCM in, words out; while it is spoken, if the engine can, and at its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from opentalking.types import AudioChunk


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said so far, all of it. The last one of an utterance is final; its text may be empty."""

    text: str
    is_final: bool


class STTAdapter(Protocol):
    """A recogniser or a service; one instance a process, shared by its sessions."""

    provider: str

    async def warmup(self) -> None:
        """Load and recognise once, so that the first utterance is not slow. Raises STTError with what is missing."""

    def transcribe_stream(self, audio: AsyncIterator[AudioChunk]) -> AsyncGenerator[Transcript, None]:
        """One utterance, 16 kHz, as it arrives; it is over when `audio` ends. Exactly one final transcript, the last.

        Raises STTError. Closing the iterator (aclose, cancel) drops the utterance.
        """

    async def aclose(self) -> None: ...


class STTError(Exception):
    """Speech cannot be recognised; the message says what to do about it."""

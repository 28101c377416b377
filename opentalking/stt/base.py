"""The seam to recognisers: a stream of PCM in, words out; while it is spoken, if the engine can, and at its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from opentalking.types import AudioChunk


@dataclass(frozen=True, slots=True)
class Pause:
    """In a stream of audio: the speaker has paused and may be done. What was understood is wanted now.

    An engine that can answers with a transcript of all the audio before it, as soon as it can; others ignore it. The
    audio may go on, or end; if it ends at once, the final transcript costs nothing more.
    """


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said so far, all of it. The last one of an utterance is final; its text may be empty.

    `samples`: how many samples (16 kHz) of the utterance it covers at least; 0 if the engine cannot tell.
    """

    text: str
    is_final: bool
    samples: int = 0


Audio: TypeAlias = AudioChunk | Pause


class STTAdapter(Protocol):
    """A recogniser or a service; one instance a process, shared by its sessions."""

    provider: str
    answers_pauses: bool  # with all that was said before them; else a turn's end does not wait for its words

    async def warmup(self) -> None:
        """Load and recognise once, so that the first utterance is not slow. Raises STTError with what is missing."""

    def transcribe_stream(self, audio: AsyncIterator[Audio]) -> AsyncGenerator[Transcript, None]:
        """One utterance, 16 kHz, as it arrives; it is over when `audio` ends. Exactly one final transcript, the last.

        Raises STTError. Closing the iterator (aclose, cancel) drops the utterance.
        """

    async def aclose(self) -> None: ...


class STTError(Exception):
    """Speech cannot be recognised; the message says what to do about it."""

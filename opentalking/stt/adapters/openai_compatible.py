"""A recogniser elsewhere: any service with OpenAI's `/audio/transcriptions`. The utterance is sent when it is over.

A Pause is not answered: it would be a request, and its price, for every breath.
"""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from opentalking.config import Settings
from opentalking.stt.base import Audio, Pause, STTError, Transcript
from opentalking.types import MODEL_RATE

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_NO_KEY = "none"  # services of one's own want none, the library does


class OpenAICompatibleSTT:
    """STTAdapter."""

    provider = "openai_compatible"
    answers_pauses = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: AsyncOpenAI | None = None

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return None if settings.stt_base_url else "set OPENTALKING_STT_BASE_URL, e.g. https://api.openai.com/v1"

    async def warmup(self) -> None:
        if self._client is None:
            self._client = await asyncio.to_thread(self._make_client)

    def _make_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        settings = self._settings
        return AsyncOpenAI(
            base_url=settings.stt_base_url,
            api_key=settings.stt_api_key or _NO_KEY,
            timeout=settings.stt_timeout_s,
            max_retries=0,
        )

    async def transcribe_stream(self, audio: AsyncIterator[Audio]) -> AsyncGenerator[Transcript, None]:
        from openai import OpenAIError

        pcm = b"".join([chunk.data.tobytes() async for chunk in audio if not isinstance(chunk, Pause)])
        if not pcm:
            yield Transcript("", is_final=True)
            return
        await self.warmup()
        assert self._client is not None
        language = {"language": self._settings.stt_language} if self._settings.stt_language else {}
        try:
            answer = await self._client.audio.transcriptions.create(
                model=self._settings.stt_model, file=("speech.wav", _wav(pcm), "audio/wav"), extra_body=language
            )
        except OpenAIError as error:
            raise STTError(f"{self._settings.stt_base_url}: {error}") from error
        yield Transcript(answer.text.strip(), is_final=True)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.close()


def _wav(pcm: bytes) -> bytes:
    """16 kHz mono s16le as a file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(MODEL_RATE)
        writer.writeframes(pcm)
    return file.getvalue()

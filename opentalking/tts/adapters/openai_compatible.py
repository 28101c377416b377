"""Any service with OpenAI's `/audio/speech`: the body is streamed as it is made, in the format of the setting.

Bare PCM is 24 kHz mono by that protocol. Closing the stream closes the HTTP response, which ends the work there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp

from opentalking.config import Settings
from opentalking.tts.base import Voice
from opentalking.tts.decoding import speech
from opentalking.tts.service import Service, body_of, connections
from opentalking.types import AudioChunk

_PCM_RATE = 24_000
_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse")


class OpenAICompatibleTTS:
    """TTSAdapter; voices and models are the service's own names."""

    provider = "openai_compatible"
    sample_rates = (_PCM_RATE, 48_000)  # pcm, wav and mp3 as the service makes them; opus is always 48 kHz
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.tts_openai_base_url.rstrip("/") + "/audio/speech"
        self._service = Service(self.provider, "OPENTALKING_TTS_OPENAI_API_KEY", settings.tts_openai_api_key)
        self._pool: aiohttp.ClientSession | None = None

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return None if settings.tts_openai_base_url else "set OPENTALKING_TTS_OPENAI_BASE_URL"

    async def warmup(self) -> None:
        """Open the pool; a request would cost money."""
        self._pool = self._pool or connections()

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, name, name.capitalize(), "") for name in _VOICES]

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        return speech(
            text, lambda text: self._answer(text, voice, model), self._settings.tts_openai_response_format, _PCM_RATE
        )

    async def _answer(self, text: str, voice: str | None, model: str | None) -> AsyncGenerator[bytes, None]:
        await self.warmup()
        assert self._pool is not None
        settings = self._settings
        wanted = {
            "model": model or settings.tts_openai_model,
            "voice": voice or settings.tts_openai_voice,
            "input": text,
            "response_format": settings.tts_openai_response_format,
        }
        if settings.tts_openai_prompt:
            wanted["instructions"] = settings.tts_openai_prompt
        key = settings.tts_openai_api_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with self._service.errors():
            async with (
                self._pool.post(self._url, json=wanted, headers=headers) as response,
                aclosing(body_of(response, self._service)) as body,
            ):
                async for data in body:
                    yield data

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.close()

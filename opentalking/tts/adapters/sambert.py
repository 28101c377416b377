"""Sambert at DashScope, by its own library: one request a fragment, sound as it is made. A model is a voice.

Of the library its asynchronous request is used: that of `SpeechSynthesizer` blocks, and cannot be ended from outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.base import TTSError, Voice, spoken_text
from opentalking.tts.decoding import decode
from opentalking.tts.service import detached
from opentalking.types import AudioChunk

_RATE = 48_000  # the best that all of its models give
_VOICES = (
    ("sambert-zhichu-v1", "Zhichu", "zh-CN"),
    ("sambert-zhiwei-v1", "Zhiwei", "zh-CN"),
    ("sambert-cindy-v1", "Cindy", "en-US"),
    ("sambert-brian-v1", "Brian", "en-US"),
)


class SambertTTS:
    """TTSAdapter; whoever names a voice, or a model, names the same."""

    provider = "sambert"
    sample_rates = (_RATE,)
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service = dashscope.service_of(self.provider, settings)

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return dashscope.missing(settings)

    async def warmup(self) -> None:
        """Import the library, no more than that: it has no way to keep a socket."""
        await asyncio.to_thread(dashscope.library, self._settings, "client.base_api")

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, *voice) for voice in _VOICES]

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        text = spoken_text(text)
        if text.strip():
            source = detached(self._pcm(text, voice or model or self._settings.tts_sambert_model))
            async with aclosing(decode(source, "pcm", _RATE)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _pcm(self, text: str, model: str) -> AsyncGenerator[bytes, None]:
        await self.warmup()
        from dashscope.client.base_api import BaseAioApi
        from dashscope.common.constants import ApiProtocol

        settings = self._settings
        where = {"base_address": settings.dashscope_base_url} if settings.dashscope_base_url else {}
        parts: Any = await BaseAioApi.call(
            model=model,
            input={"text": text},
            task_group="audio",
            task="tts",
            function="SpeechSynthesizer",
            stream=True,
            api_protocol=ApiProtocol.WEBSOCKET,
            api_key=settings.dashscope_api_key,
            format="pcm",
            sample_rate=_RATE,
            **where,
        )
        async with aclosing(parts) as answer:
            async for part in answer:
                if isinstance(part.output, bytes):
                    yield part.output
                elif part.status_code != HTTPStatus.OK:
                    raise self._error(part)

    def _error(self, part: Any) -> TTSError:
        """The library tells failures of the connection in place of a part."""
        code, message = str(part.code), str(part.message)
        if isinstance(part.status_code, int) and 400 <= part.status_code < 600:
            return self._service.refused(part.status_code, message)
        if code in ("ClientConnectorError", "Unknown"):
            return self._service.error("unreachable", message)
        return dashscope.failed(self._service, code, message)

    async def aclose(self) -> None:
        """Nothing is kept between fragments."""

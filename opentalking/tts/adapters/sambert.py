"""Sambert at DashScope, by its own library: one request a fragment, sound as it is made. A model is a voice.

Of the library its asynchronous request is used: that of `SpeechSynthesizer` blocks, and cannot be ended from outside.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from opentalking.tts import dashscope
from opentalking.tts.base import TTSError
from opentalking.tts.decoding import speech
from opentalking.tts.service import detached
from opentalking.types import AudioChunk

_RATE = 48_000  # the best that all of its models give


class SambertTTS(dashscope.LibraryVoice):
    """TTSAdapter; whoever names a voice, or a model, names the same. The library has no way to keep a socket."""

    provider = "sambert"
    module = "client.base_api"
    known = (
        ("sambert-zhichu-v1", "Zhichu", "zh-CN"),
        ("sambert-zhiwei-v1", "Zhiwei", "zh-CN"),
        ("sambert-cindy-v1", "Cindy", "en-US"),
        ("sambert-brian-v1", "Brian", "en-US"),
    )
    sample_rates = (_RATE,)

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        named = voice or model or self._settings.tts_sambert_model
        return speech(text, lambda text: detached(self._pcm(text, named)), "pcm", _RATE)

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

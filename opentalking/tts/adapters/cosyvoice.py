"""CosyVoice at DashScope, by its own library: sound comes while it is made, as PCM, WAV or MP3.

run-task -> task-started, continue-task (the text), finish-task -> binary sound …, task-finished (or task-failed). The
library opens a WebSocket for each task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import lru_cache
from typing import Any

import msgspec

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.base import Voice, spoken_text
from opentalking.tts.dashscope import ThreadStream
from opentalking.tts.decoding import decode
from opentalking.types import AudioChunk

_RATE = 24_000
_FORMATS = {"pcm": "PCM_24000HZ_MONO_16BIT", "wav": "WAV_24000HZ_MONO_16BIT", "mp3": "MP3_24000HZ_MONO_256KBPS"}
_VOICES = (("longanyang", "Long Anyang", "zh-CN"), ("longanhuan", "Long Anhuan", "zh-CN"))


class CosyVoiceTTS:
    """TTSAdapter."""

    provider = "cosyvoice"
    sample_rates = (_RATE,)
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return dashscope.missing(settings)

    async def warmup(self) -> None:
        """Import the library, no more than that: it has no way to keep a socket."""
        await asyncio.to_thread(_synthesizer_class, self._settings)

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, *voice) for voice in _VOICES]

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        text, settings = spoken_text(text), self._settings
        if not text.strip():
            return
        task = _Task(settings, text, voice or settings.tts_cosyvoice_voice, model or settings.tts_cosyvoice_model)
        source = ThreadStream(dashscope.service_of(self.provider, settings)).read(task.call, task.close)
        async with aclosing(decode(source, settings.tts_cosyvoice_format, _RATE)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def aclose(self) -> None:
        """Nothing is kept between fragments."""


class _Task:
    """One fragment; the library's callback, too."""

    def __init__(self, settings: Settings, text: str, voice: str, model: str) -> None:
        self._settings, self._text, self._voice, self._model = settings, text, voice, model
        self._stream: ThreadStream | None = None
        self._synthesizer: Any = None

    def call(self, stream: ThreadStream) -> None:
        """In a thread of its own; returns when all is asked, and the callbacks go on."""
        self._stream = stream
        from dashscope.audio.tts_v2 import AudioFormat

        self._synthesizer = _synthesizer_class(self._settings)(
            model=self._model,
            voice=self._voice,
            format=AudioFormat[_FORMATS[self._settings.tts_cosyvoice_format]],
            callback=self,
            url=self._settings.dashscope_base_url or None,
        )
        self._synthesizer.stream = stream
        self._synthesizer.streaming_call(self._text)
        self._synthesizer.streaming_complete()

    def close(self) -> None:
        if self._synthesizer is not None:
            dashscope.aside(self._synthesizer.close)

    def on_data(self, data: bytes) -> None:
        assert self._stream is not None
        self._stream.give(bytes(data))

    def on_complete(self) -> None:
        assert self._stream is not None
        self._stream.end()

    def on_error(self, message: str) -> None:
        assert self._stream is not None
        header = msgspec.json.decode(message).get("header", {})
        self._stream.failed(str(header.get("error_code", "")), str(header.get("error_message", "")))

    def on_open(self) -> None: ...

    def on_close(self) -> None: ...

    def on_event(self, message: str) -> None: ...


@lru_cache(maxsize=1)
def _synthesizer_class(settings: Settings) -> Any:
    """The library's synthesizer, which tells a connection that is lost or refused: by itself it only logs it."""
    dashscope.library(settings)
    from dashscope.audio.tts_v2 import SpeechSynthesizer

    class Synthesizer(SpeechSynthesizer):
        stream: ThreadStream

        def on_error(self, ws: Any, error: object) -> None:
            if not self.stream.refused(error):
                self.stream.fail("unreachable", str(error) or type(error).__name__)
            self._let_go()

        def on_close(self, ws: Any, close_status_code: object, close_msg: object) -> None:
            if not self.complete_event.is_set():
                self.stream.fail("unreachable", "the connection was closed in the middle of a sentence")
                self._let_go()

        def _let_go(self) -> None:
            """Whoever waits for the service need not any more."""
            self.start_event.set()
            self.complete_event.set()

    return Synthesizer

"""Qwen's realtime voices at DashScope, by its own library: PCM at 24 kHz, one socket for many fragments.

session.update (voice)                       once a socket
input_text_buffer.append, .commit            a fragment
<- response.audio.delta (base64) …, response.done

A socket whose fragment is done waits for the next of the same voice and model. One whose fragment was cut is closed:
what is still on its way belongs to nobody.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.base import Voice, spoken_text
from opentalking.tts.dashscope import ThreadStream
from opentalking.tts.dashscope_sockets import IdleSockets, Socket
from opentalking.tts.decoding import decode
from opentalking.types import AudioChunk

_MODULE = "audio.qwen_tts_realtime"
_RATE = 24_000
_VOICES = (
    ("Cherry", "Cherry", "zh-CN"),
    ("Ethan", "Ethan", "zh-CN"),
    ("Jennifer", "Jennifer", "en-US"),
    ("Ryan", "Ryan", "en-US"),
    ("Kiki", "Kiki", "zh-HK"),
)


class DashScopeTTS:
    """TTSAdapter."""

    provider = "dashscope"
    sample_rates = (_RATE,)
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service = dashscope.service_of(self.provider, settings)
        self._idle: IdleSockets[_Socket] = IdleSockets()

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return dashscope.missing(settings)

    async def warmup(self) -> None:
        """Import the library; a socket is opened for the voice that is asked for."""
        await asyncio.to_thread(dashscope.library, self._settings, _MODULE)

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, *voice) for voice in _VOICES]

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        text, settings = spoken_text(text), self._settings
        if not text.strip():
            return
        named = voice or settings.tts_dashscope_voice, model or settings.tts_dashscope_model
        socket = self._idle.take(lambda idle: idle.named == named) or _Socket(settings, *named)
        source = ThreadStream(self._service).read(lambda stream: socket.speak(stream, text), lambda: self._keep(socket))
        async with aclosing(decode(source, "pcm", _RATE)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _keep(self, socket: _Socket) -> None:
        if self._settings.qwen_tts_reuse_ws:
            self._idle.keep(socket)
        else:
            socket.close()

    async def aclose(self) -> None:
        self._idle.close()


class _Socket(Socket):
    """A session of one voice and model; the library's callback, too."""

    _session: Any = None

    def __init__(self, settings: Settings, voice: str, model: str) -> None:
        super().__init__(settings)
        self.named = voice, model

    def speak(self, stream: ThreadStream, text: str) -> None:
        """In a thread of the fragment's own; the sound comes by `on_event`."""
        self.begin(stream)
        if self._session is None and not self._begun():
            return
        if not stream.closed.is_set():
            self._session.append_text(text)
            self._session.commit()

    def _begun(self) -> bool:
        settings, (voice, model) = self._settings, self.named
        client = dashscope.library(settings, _MODULE).QwenTtsRealtime
        session = client(model=model, callback=self, url=settings.tts_dashscope_service_url or None)
        session.ws = self.connect(session.url, lambda message: session.on_message(session.ws, message))
        if session.ws is None:
            return False
        language = {"language_type": settings.qwen_tts_language} if settings.qwen_tts_language else {}
        session.update_session(voice=voice, mode="commit", sample_rate=_RATE, **language)
        self._session = session
        return True

    def on_event(self, message: dict[str, Any]) -> None:
        stream, kind = self._stream, message.get("type")
        if stream is None:
            return
        if kind == "response.audio.delta":
            try:
                stream.give(base64.b64decode(message["delta"], validate=True))
            except (KeyError, TypeError, ValueError):  # the library would swallow it
                stream.fail("broken", "sound that is not base64")
        elif kind == "response.done":
            self.done()
        elif kind == "error":
            error = message.get("error", {})
            stream.failed(str(error.get("code", "")), str(error.get("message", "")))

"""Qwen's realtime voices at DashScope, by its own library: PCM at 24 kHz, one socket for many fragments.

session.update (voice)                       once a socket
input_text_buffer.append, .commit            a fragment
<- response.audio.delta (base64) …, response.done

A socket whose fragment is done waits for the next of the same voice and model. One whose fragment was cut is closed:
what is still on its way belongs to nobody.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from typing import Any

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.dashscope import ThreadStream
from opentalking.tts.dashscope_sockets import IdleSockets, Socket
from opentalking.tts.decoding import speech
from opentalking.types import AudioChunk

_RATE = 24_000


class DashScopeTTS(dashscope.LibraryVoice):
    """TTSAdapter."""

    provider = "dashscope"
    module = "audio.qwen_tts_realtime"
    known = (
        ("Cherry", "Cherry", "zh-CN"),
        ("Ethan", "Ethan", "zh-CN"),
        ("Jennifer", "Jennifer", "en-US"),
        ("Ryan", "Ryan", "en-US"),
        ("Kiki", "Kiki", "zh-HK"),
    )
    sample_rates = (_RATE,)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._idle: IdleSockets[_Socket] = IdleSockets()

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        named = voice or self._settings.tts_dashscope_voice, model or self._settings.tts_dashscope_model

        def ask(text: str) -> AsyncGenerator[bytes, None]:
            socket = self._idle.take(lambda idle: idle.named == named) or _Socket(self._settings, *named)
            return ThreadStream(self._service).read(
                lambda stream: socket.speak(stream, text), lambda: self._keep(socket)
            )

        return speech(text, ask, "pcm", _RATE)

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
        client = dashscope.library(settings, DashScopeTTS.module).QwenTtsRealtime
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

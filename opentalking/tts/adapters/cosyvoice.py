"""CosyVoice at DashScope, by its own library: sound comes while it is made, as PCM, WAV or MP3.

run-task -> task-started, continue-task (the text), finish-task -> binary sound …, task-finished (or task-failed). A
connection serves one task after another, of any voice and model; the library's own way to keep one (a pool of always
open ones, a singleton with a thread that never ends) is not used: see opentalking/tts/dashscope_sockets.py.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.dashscope import ThreadStream
from opentalking.tts.dashscope_sockets import IdleSockets, Socket
from opentalking.tts.decoding import speech
from opentalking.types import AudioChunk

_RATE = 24_000
_FORMATS = {"pcm": "PCM_24000HZ_MONO_16BIT", "wav": "WAV_24000HZ_MONO_16BIT", "mp3": "MP3_24000HZ_MONO_256KBPS"}


class CosyVoiceTTS(dashscope.LibraryVoice):
    """TTSAdapter."""

    provider = "cosyvoice"
    module = "audio.tts_v2"
    known = (("longanyang", "Long Anyang", "zh-CN"), ("longanhuan", "Long Anhuan", "zh-CN"))
    sample_rates = (_RATE,)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._idle: IdleSockets[_Socket] = IdleSockets()

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        settings = self._settings
        voice, model = voice or settings.tts_cosyvoice_voice, model or settings.tts_cosyvoice_model

        def ask(text: str) -> AsyncGenerator[bytes, None]:
            socket = self._idle.take(lambda _: True) or _Socket(settings)
            return ThreadStream(self._service).read(
                lambda stream: socket.speak(stream, text, voice, model), lambda: self._idle.keep(socket)
            )

        return speech(text, ask, settings.tts_cosyvoice_format, _RATE)

    async def aclose(self) -> None:
        self._idle.close()


class _Socket(Socket):
    """Task after task, each with a synthesizer of the library's; its callback, too."""

    _task: Any = None

    def speak(self, stream: ThreadStream, text: str, voice: str, model: str) -> None:
        """In a thread of the fragment's own; the sound comes by the callbacks."""
        self.begin(stream)
        library = dashscope.library(self._settings, CosyVoiceTTS.module)
        self._task = task = library.SpeechSynthesizer(
            model=model,
            voice=voice,
            format=library.AudioFormat[_FORMATS[self._settings.tts_cosyvoice_format]],
            callback=self,
            url=self._settings.dashscope_base_url or None,
        )
        task.ws = self.connect(task.url, lambda message: self._task.on_message(self._app, message))
        if task.ws is None or stream.closed.is_set():
            return
        task.close = lambda: None  # it would close the connection, which is to serve the next
        task.streaming_call(text)
        task.streaming_complete()

    def let_go(self) -> None:
        if self._task is not None:
            self._task.start_event.set()
            self._task.complete_event.set()

    def on_data(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.give(bytes(data))

    def on_complete(self) -> None:
        self.done()

    def on_error(self, message: str) -> None:
        """The task failed; the service closes the connection."""
        header = msgspec.json.decode(message).get("header", {})
        if self._stream is not None:
            self._stream.failed(str(header.get("error_code", "")), str(header.get("error_message", "")))

    def on_open(self) -> None: ...

    def on_close(self) -> None: ...

    def on_event(self, message: str) -> None: ...

"""Qwen's realtime voices at DashScope, by its own library: PCM at 24 kHz, one socket for many fragments.

A socket whose fragment is done waits for the next of the same voice and model; it is opened in 100 ms at best, which a
conversation pays once. One whose fragment was cut is closed: what is still on its way belongs to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.base import Voice, spoken_text
from opentalking.tts.dashscope import ThreadStream
from opentalking.tts.decoding import decode
from opentalking.tts.qwen_realtime import RATE, QwenSocket, realtime_class
from opentalking.types import AudioChunk

_MOST_IDLE = 4  # sockets that wait for a fragment
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
    sample_rates = (RATE,)
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[QwenSocket] = []

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return dashscope.missing(settings)

    async def warmup(self) -> None:
        """Import the library; a socket is opened for the voice that is asked for."""
        await asyncio.to_thread(realtime_class, self._settings)

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, *voice) for voice in _VOICES]

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        text, settings = spoken_text(text), self._settings
        if not text.strip():
            return
        socket = self._waiting(voice or settings.tts_dashscope_voice, model or settings.tts_dashscope_model)
        stream = ThreadStream(dashscope.service_of(self.provider, settings))
        source = stream.read(lambda one: socket.speak(one, text), lambda: self._keep(socket))
        async with aclosing(decode(source, "pcm", RATE)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _waiting(self, voice: str, model: str) -> QwenSocket:
        """One that waits for this voice, or a new one."""
        for socket in [one for one in self._idle if not one.usable]:
            self._idle.remove(socket)
        for socket in self._idle:
            if (socket.voice, socket.model) == (voice, model):
                self._idle.remove(socket)
                return socket
        return QwenSocket(self._settings, voice, model)

    def _keep(self, socket: QwenSocket) -> None:
        if socket.usable and self._settings.qwen_tts_reuse_ws:
            self._idle.append(socket)
        else:
            socket.close()
        for oldest in self._idle[:-_MOST_IDLE]:
            oldest.close()
        del self._idle[:-_MOST_IDLE]

    async def aclose(self) -> None:
        for socket in self._idle:
            socket.close()

"""A session of Qwen's realtime synthesis, as DashScope's library speaks it.

session.update (voice)                       once a socket
input_text_buffer.append, .commit            a fragment
<- response.audio.delta (base64) …, response.done
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Any

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.dashscope import ThreadStream

RATE = 24_000


class QwenSocket:
    """A session at the service; the library's callback, too."""

    def __init__(self, settings: Settings, voice: str, model: str) -> None:
        self.voice, self.model = voice, model
        self._settings = settings
        self._realtime: Any = None
        self._stream: ThreadStream | None = None
        self._open = False

    @property
    def usable(self) -> bool:
        """Whether it is open, and nothing of a fragment is on its way."""
        return self._open and self._stream is None

    def speak(self, stream: ThreadStream, text: str) -> None:
        """In a thread of the fragment's own; the sound comes by `on_event`."""
        self._stream = stream
        if not self._open:
            self._connect()
        if stream.closed.is_set():
            return
        self._realtime.append_text(text)
        self._realtime.commit()

    def _connect(self) -> None:
        settings = self._settings
        url = settings.tts_dashscope_service_url or None
        self._realtime = realtime_class(settings)(model=self.model, callback=self, url=url)
        self._realtime.connect()
        self._open = True
        language = {"language_type": settings.qwen_tts_language} if settings.qwen_tts_language else {}
        self._realtime.update_session(voice=self.voice, mode="commit", sample_rate=RATE, **language)

    def close(self) -> None:
        self._open = False
        if self._realtime is not None:
            dashscope.aside(self._realtime.close)

    def on_event(self, message: dict[str, Any]) -> None:
        stream, kind = self._stream, message.get("type")
        if stream is None:
            return
        if kind == "response.audio.delta":
            stream.give(base64.b64decode(message["delta"]))
        elif kind == "response.done":
            self._stream = None
            stream.end()
        elif kind == "error":
            error = message.get("error", {})
            self.lost()
            stream.failed(str(error.get("code", "")), str(error.get("message", "")))

    def lost(self) -> None:
        self._open = False

    def on_open(self) -> None: ...

    def on_close(self, close_status_code: object, close_msg: object) -> None:
        self.lost()
        if self._stream is not None:
            self._stream.fail("unreachable", f"the connection was closed ({close_status_code})")

    def on_failure(self, error: object) -> None:
        """Of the connection."""
        self.lost()
        if self._stream is not None and not self._stream.refused(error):
            self._stream.fail("unreachable", str(error) or type(error).__name__)


@lru_cache(maxsize=1)
def realtime_class(settings: Settings) -> Any:
    """The library's client, which tells a connection that is lost or refused: by itself it only logs it."""
    dashscope.library(settings)
    from dashscope.audio.qwen_tts_realtime import QwenTtsRealtime

    class Realtime(QwenTtsRealtime):
        def on_error(self, ws: Any, error: object) -> None:
            callback: Any = self.callback
            callback.on_failure(error)

    return Realtime

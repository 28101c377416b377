"""A recogniser elsewhere: DashScope's paraformer-realtime, by its own library. Words come while they are said.

    loop:    audio ──> frames ──────┐                            ┌──> events ──> transcripts
    thread:                 frames ─┴> start, send …, stop       │
    the library's threads:                └> WebSocket <──> on_event, on_complete, on_error

Each utterance has a thread of its own, because `stop` waits for the service's last word. It is a daemon, and so are the
threads that the library begins from it: one that hangs does not keep the process from ending. The library opens a
socket for each utterance and has no way to keep one; `warmup` imports it, no more than that. While it waits for sound
it reads no results, and after 23 s it gives up: so where none comes, it is given silence.

A Pause is not answered: the service finds the ends of sentences itself, and what it found is told as it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import queue
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from opentalking.config import Settings
from opentalking.stt.base import Audio, Pause, STTError, Transcript
from opentalking.types import MODEL_RATE, AudioChunk

_GAP_S = 0.1  # without sound, after which as much silence is sent
_SILENCE = bytes(int(_GAP_S * MODEL_RATE) * 2)
_SPARE_S = 30.0  # to connect, beyond the longest utterance and the time to recognise it


@dataclass(frozen=True, slots=True)
class _Sentence:
    """What the service made of one so far."""

    text: str
    is_over: bool
    end_ms: int


_Event = _Sentence | STTError | None  # None: that was all


class DashScopeSTT:
    """STTAdapter."""

    provider = "dashscope"
    answers_pauses = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        if importlib.util.find_spec("dashscope") is None:
            return "dashscope is not installed: pip install dashscope"
        return None if settings.dashscope_api_key else "set OPENTALKING_DASHSCOPE_API_KEY"

    async def warmup(self) -> None:
        await asyncio.to_thread(_library)

    async def transcribe_stream(self, audio: AsyncIterator[Audio]) -> AsyncGenerator[Transcript, None]:
        task = _Task(self._settings)
        feeding = asyncio.create_task(task.feed(audio))
        said, covered = "", 0
        try:
            while (event := await task.events.get()) is not None:
                if isinstance(event, STTError):
                    raise event
                covered = max(covered, event.end_ms * MODEL_RATE // 1000 - task.silence)
                text = _joined(said, event.text)
                if event.is_over:
                    said = text
                if event.text:
                    yield Transcript(text, False, min(covered, task.samples))
            yield Transcript(said, True, task.samples)
        finally:
            feeding.cancel()
            task.stop()

    async def aclose(self) -> None:
        """Nothing is kept between utterances."""


class _Task:
    """One utterance at the service; the library's callback, too. What it holds is bounded as the utterance is."""

    def __init__(self, settings: Settings) -> None:
        self.events: asyncio.Queue[_Event] = asyncio.Queue()
        self.samples = 0  # that were said
        self.silence = 0  # that were sent between them
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    async def feed(self, audio: AsyncIterator[Audio]) -> None:
        """Nothing is asked of the service before there is sound."""
        try:
            async for chunk in audio:
                if isinstance(chunk, Pause):
                    continue
                if not self.samples:
                    threading.Thread(target=self._speak, name="dashscope-stt", daemon=True).start()
                self.samples += len(chunk.data)
                self._frames.put(_checked(chunk))
        except Exception as error:
            self.events.put_nowait(error if isinstance(error, STTError) else STTError(str(error)))
        self.stop()
        if not self.samples:
            self.events.put_nowait(None)

    def stop(self) -> None:
        self._frames.put(None)

    def _speak(self) -> None:
        recognition = None
        try:
            recognition = _recognition(self._settings, self)
            recognition.start()
            while (frame := self._next()) is not None:
                recognition.send_audio_frame(frame)
            recognition.stop()
            self._tell(None)  # should the service not have said that it has finished
        except Exception as error:  # also what the library raises when on_error came before
            self._tell(STTError(f"dashscope: {error}"))
        finally:
            timer = getattr(recognition, "_silence_timer", None)  # after an error, it would run for 23 s
            if timer is not None:
                timer.cancel()

    def _next(self) -> bytes | None:
        try:
            return self._frames.get(timeout=_GAP_S)
        except queue.Empty:
            self.silence += len(_SILENCE) // 2
            return _SILENCE

    def _tell(self, event: _Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            self._loop.call_soon_threadsafe(self.events.put_nowait, event)

    def on_open(self) -> None: ...

    def on_close(self) -> None: ...

    def on_complete(self) -> None:
        self._tell(None)

    def on_event(self, result: Any) -> None:
        if sentence := result.get_sentence():
            end_ms = sentence.get("end_time")
            words = sentence.get("words") or [{}]
            self._tell(
                _Sentence(sentence.get("text", ""), end_ms is not None, end_ms or words[-1].get("end_time") or 0)
            )

    def on_error(self, result: Any) -> None:
        if result.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            self._tell(STTError(f"dashscope refuses OPENTALKING_DASHSCOPE_API_KEY: {result.message}"))
        else:
            self._tell(STTError(f"dashscope: {result.code}: {result.message}"))


def _library() -> Any:
    from dashscope.audio import asr

    logging.getLogger("dashscope").setLevel(logging.CRITICAL)  # what it logs with a traceback, it tells on_error, too
    return asr


def _recognition(settings: Settings, callback: _Task) -> Any:
    options: dict[str, Any] = {}
    if settings.dashscope_base_url:
        options["base_address"] = settings.dashscope_base_url
    if settings.stt_language:
        options["language_hints"] = [settings.stt_language]
    return _library().Recognition(
        model=settings.stt_dashscope_model,
        callback=callback,
        format="pcm",
        sample_rate=MODEL_RATE,
        api_key=settings.dashscope_api_key,
        request_timeout=settings.stt_max_utterance_s + settings.stt_timeout_s + _SPARE_S,
        **options,
    )


def _joined(said: str, text: str) -> str:
    """Sentences of letters get a space between them; Chinese ones none."""
    between = " " if said and text and said[-1].isascii() else ""
    return f"{said}{between}{text}"


def _checked(chunk: AudioChunk) -> bytes:
    if chunk.sample_rate != MODEL_RATE:
        raise STTError(f"dashscope is sent {MODEL_RATE} Hz, not {chunk.sample_rate}")
    return chunk.data.tobytes()

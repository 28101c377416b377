"""The fallback voice: espeak-ng by ctypes. Robotic, in a hundred languages, a thousand times faster than speech.

espeak-ng is GPL-3: its library is loaded here only, in the process that speaks. It is one global per process, so a
lock lets one sentence through at a time; its callback hands out sound as it is made and stops it on abort.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np

from opentalking.config import Settings
from opentalking.tts.base import TTSError, Voice, spoken_text
from opentalking.types import AudioChunk, Int16

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: sound goes to the callback, before espeak_Synth returns
_UTF8 = 1  # espeakCHARS_UTF8
_END_PAUSE = 0x1000  # espeakENDPAUSE
_OK = 0
_CHUNK_MS = 60
_DEFAULT_VOICE = "en-us"
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_LOCK = threading.Lock()
_LOADING = threading.Lock()


class _VoiceStruct(ctypes.Structure):
    """espeak_VOICE of speak_lib.h, as far as it is read here."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),  # a priority byte, then the language code
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class EspeakTTS:
    """TTSAdapter; a voice is a language code of espeak-ng, such as en-us, de or cmn."""

    provider = "espeak"
    sample_rates = (22_050,)
    any_voice = False

    def __init__(self, settings: Settings) -> None:
        configured = settings.tts_voice if settings.tts_provider == self.provider else ""
        self._default_voice = configured or _DEFAULT_VOICE
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="espeak")

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this engine cannot be used here, or None."""
        if importlib.util.find_spec("espeakng_loader") is None:
            return "espeakng-loader is not installed: pip install 'opentalking[offline]'"
        return None

    async def warmup(self) -> None:
        async for _ in self.synthesize_stream("Hello."):
            pass

    def voices(self) -> list[Voice]:
        return [voice for voice, _ in _voices().values()]

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        if not text.strip():
            return  # espeak makes a moment of silence of it
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[AudioChunk | None] = asyncio.Queue()
        aborted = threading.Event()

        def hand_over(samples: Int16) -> None:
            loop.call_soon_threadsafe(chunks.put_nowait, AudioChunk(samples, _library()[1]))

        speaking = loop.run_in_executor(self._thread, _speak, text, voice or self._default_voice, hand_over, aborted)
        speaking.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            await speaking
        finally:
            aborted.set()

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _speak(text: str, voice: str, hand_over: Callable[[Int16], None], aborted: threading.Event) -> None:
    """Synthesise on this thread; the callback runs inside."""
    library, _ = _library()

    def take(samples: Any, count: int, events: Any) -> int:
        if count > 0 and not aborted.is_set():
            hand_over(np.ctypeslib.as_array(samples, (count,)).astype(np.int16, copy=True))
        return int(aborted.is_set())  # 1 stops the synthesis

    callback = _Callback(take)
    known = _voices().get(voice)  # most names will do as they are, but en-gb, for one, is a file called gmw/en
    named = known[1] if known is not None else spoken_text(voice).encode()
    spoken = spoken_text(text).encode()
    with _LOCK:
        if aborted.is_set():
            return
        if library.espeak_SetVoiceByName(named) != _OK:
            raise TTSError(f"espeak has no voice {voice!r}; GET /voices?provider=espeak lists them")
        library.espeak_SetSynthCallback(callback)
        if library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, _UTF8 | _END_PAUSE, None, None) != _OK:
            raise TTSError("espeak could not speak the text")


def _library() -> tuple[ctypes.CDLL, int]:
    """The loaded library and its sample rate in Hz. One thread at a time: initialised twice at once, it crashes."""
    with _LOADING:
        return _loaded()


@lru_cache(maxsize=1)
def _loaded() -> tuple[ctypes.CDLL, int]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise TTSError("espeakng-loader is not installed: pip install 'opentalking[offline]'") from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetSynthCallback.argtypes = [_Callback]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_VoiceStruct))
    rate = library.espeak_Initialize(_SYNCHRONOUS, _CHUNK_MS, espeakng_loader.get_data_path().encode(), 0)
    if rate <= 0:
        raise TTSError("espeak-ng could not read its data files")
    return library, rate


@lru_cache(maxsize=1)
def _voices() -> dict[str, tuple[Voice, bytes]]:
    """Language code -> the voice, and the file that espeak-ng has it in. Of two for one language, the first counts."""
    library, _ = _library()
    voices: dict[str, tuple[Voice, bytes]] = {}
    with _LOCK:
        listed = library.espeak_ListVoices(None)
        for index in range(1000):  # the list ends with a null pointer
            if not listed[index]:
                break
            entry = listed[index].contents
            language = entry.languages[1:].decode("utf-8", "replace")
            voice = Voice("espeak", language, entry.name.decode("utf-8", "replace").strip(), language)
            voices.setdefault(language, (voice, bytes(entry.identifier)))
    return voices

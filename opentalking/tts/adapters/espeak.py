"""The fallback voice: espeak-ng. Robotic, in a hundred languages, a thousand times faster than speech.

It speaks on a thread of its own, one sentence of a process at a time, and hands out sound as it is made
(opentalking/espeak_ng.py, where its licence is told of, too). What a voice cannot read is spoken by one that can, part
by part: Chinese in an English sentence by cmn.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from opentalking import espeak_ng
from opentalking.config import Settings
from opentalking.espeak_ng import EspeakError, UnknownVoiceError
from opentalking.tts.base import TTSError, Voice, spoken_text
from opentalking.tts.scripts import LANGUAGES, reads, runs
from opentalking.types import AudioChunk

_BUFFER_MS = 60
_DEFAULT_VOICE = "en-us"


class EspeakTTS:
    """TTSAdapter; a voice is a language code of espeak-ng, such as en-us, de or cmn."""

    provider = "espeak"
    sample_rates = (22_050,)
    any_voice = False

    def __init__(self, settings: Settings) -> None:
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
        try:
            return [voice for voice, _ in _voices().values()]
        except EspeakError as error:
            raise TTSError(str(error)) from error

    def reads(self, script: str, voice: str | None = None) -> bool:
        """There is a language for each."""
        return True

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        if not text.strip():
            return  # espeak makes a moment of silence of it
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[AudioChunk | None] = asyncio.Queue()
        aborted = threading.Event()

        def hand_over(chunk: AudioChunk) -> None:
            loop.call_soon_threadsafe(chunks.put_nowait, chunk)

        speaking = loop.run_in_executor(self._thread, _speak, text, voice or _DEFAULT_VOICE, hand_over, aborted)
        speaking.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
            await speaking
        finally:
            aborted.set()
            speaking.cancel()  # if it did not begin; if it failed meanwhile, nobody has to know

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _speak(text: str, voice: str, hand_over: Callable[[AudioChunk], None], aborted: threading.Event) -> None:
    """Synthesise on this thread. Raises TTSError."""

    def take(chunk: AudioChunk, _: object) -> bool:
        if len(chunk.data) and not aborted.is_set():
            hand_over(chunk)
        return not aborted.is_set()

    parts = _by_voice(spoken_text(text), voice)
    try:
        for number, (voice, part) in enumerate(parts, 1):
            known = _voices().get(voice)  # most names will do as they are, but en-gb, for one, is a file called gmw/en
            named = known[1] if known is not None else spoken_text(voice)
            espeak_ng.speak(part, named, take, buffer_ms=_BUFFER_MS, end_pause=number == len(parts))
            if aborted.is_set():
                return
    except UnknownVoiceError as error:
        raise TTSError(f"espeak has no voice {voice!r}; GET /voices?provider=espeak lists them") from error
    except EspeakError as error:
        raise TTSError(str(error)) from error


def _by_voice(text: str, voice: str) -> list[tuple[str, str]]:
    """(voice, part) in order: the wanted voice says what it can read, one of the script's language the rest."""
    parts: list[tuple[str, str]] = []
    for script, part in runs(text):
        own = voice if reads(voice, script) else LANGUAGES[script][0]
        if parts and parts[-1][0] == own:
            part = parts.pop()[1] + part
        parts.append((own, part))
    return parts


@lru_cache(maxsize=1)
def _voices() -> dict[str, tuple[Voice, str]]:
    """Language code -> the voice, and the file that espeak-ng has it in. Of two for one language, the first counts."""
    voices: dict[str, tuple[Voice, str]] = {}
    for one in espeak_ng.listed_voices():
        voices.setdefault(one.language, (Voice("espeak", one.language, one.name, one.language), one.file))
    return voices

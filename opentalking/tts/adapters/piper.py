"""The offline voice: Piper's phonemes (espeak-ng inside) and a VITS voice decoded in chunks.

Piper is GPL-3: it is imported here only, when the voice is loaded, in the process that speaks. All work runs on one
worker thread, a chunk at a time, so that sessions take turns and an abort ends after the chunk in hand.
"""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from opentalking.config import Settings
from opentalking.tts.base import TTSError, Voice, spoken_text
from opentalking.tts.piper_voice import find_voice, read_config
from opentalking.tts.scripts import reads
from opentalking.tts.vits import ChunkedVits, Latents, chunk_spans
from opentalking.types import AudioChunk, Float32, Int16

T = TypeVar("T")

_WARM_SENTENCE = "Hello, it is good to see you here today."
_TARGET_PEAK = 0.45  # of full scale, for the warm-up sentence; the gain found there serves every sentence alike
_GAIN_RANGE = (0.5, 3.0)
_ESPEAK = threading.Lock()  # espeak-ng inside Piper is one global per process


class PiperTTS:
    """TTSAdapter; one voice file, 22050 Hz for medium voices."""

    provider = "piper"
    sample_rates = (16_000, 22_050)  # of low and medium voices
    any_voice = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="piper")
        self._engine: _Engine | None = None

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this engine cannot be used here, or None."""
        if importlib.util.find_spec("piper") is None:
            return "piper-tts is not installed: pip install 'opentalking[offline]'"
        try:
            read_config(find_voice(settings))
        except TTSError as error:
            return str(error)
        return None

    async def warmup(self) -> None:
        await self._run(self._load)

    def reads(self, script: str, voice: str | None = None) -> bool:
        """Whether the voice's language is written in it."""
        language = self._engine.language if self._engine else self.voices()[0].language
        return reads(language, script)

    def voices(self) -> list[Voice]:
        path = find_voice(self._settings)
        config = read_config(path)
        language = config.language_code
        return [Voice(self.provider, path.stem, f"{config.dataset or path.stem} ({language})", language)]

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        engine = await self._run(self._load)
        if voice and voice != engine.voice_id:
            raise TTSError(f"piper has no voice {voice!r}; it has {engine.voice_id!r}")
        for ids in await self._run(engine.sentences, text):
            latents = await self._run(engine.align, ids)
            for start, end in chunk_spans(latents.frames):
                yield AudioChunk(await self._run(engine.decode, latents, start, end), engine.sample_rate)

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        """On the worker thread. A cancelled caller's work is dropped if it waits, and ends unheard if it runs."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    def _load(self) -> _Engine:
        if self._engine is None:
            engine = _Engine(find_voice(self._settings), self._settings)
            engine.calibrate()
            self._engine = engine
        return self._engine


class _Engine:
    """The loaded voice; every method runs on the adapter's worker thread."""

    def __init__(self, path: Path, settings: Settings) -> None:
        try:
            from piper.phonemize_espeak import EspeakPhonemizer
        except ImportError as error:
            raise TTSError("piper-tts is not installed: pip install 'opentalking[offline]'") from error
        config = read_config(path)
        self.voice_id = path.stem
        self.sample_rate = config.audio.sample_rate
        self._scales = config.inference.noise_scale, config.inference.length_scale, config.inference.noise_w
        self._ids = config.phoneme_id_map
        self._espeak_voice = config.espeak.voice
        self.language = config.language_code
        try:
            self._vits = ChunkedVits(path, settings.cache_dir / "voices", settings.tts_threads)
        except (ImportError, ValueError) as error:
            raise TTSError(f"{path.name} cannot be prepared for streaming: {error}") from error
        with _ESPEAK:
            self._phonemizer = EspeakPhonemizer()
        self._gain = 1.0

    def calibrate(self) -> None:
        """Speak once: warms both graphs and finds the gain."""
        peak = 0.0
        for ids in self.sentences(_WARM_SENTENCE):
            latents = self.align(ids)
            for start, end in chunk_spans(latents.frames):
                peak = max(peak, float(np.abs(self._vits.decode(latents, start, end)).max()))
        self._gain = float(np.clip(_TARGET_PEAK / max(peak, 1e-3), *_GAIN_RANGE))

    def sentences(self, text: str) -> list[list[int]]:
        """Phoneme ids per sentence: ^ _ p _ p _ … $, as Piper's voices were trained."""
        with _ESPEAK:
            phonemes = self._phonemizer.phonemize(self._espeak_voice, spoken_text(text))
        known = [[self._ids[phoneme] for phoneme in sentence if phoneme in self._ids] for sentence in phonemes]
        pad = self._ids["_"]
        return [
            [*self._ids["^"], *pad, *(i for ids in sentence for i in (*ids, *pad)), *self._ids["$"]]
            for sentence in known
            if sentence
        ]

    def align(self, ids: list[int]) -> Latents:
        return self._vits.align(ids, self._scales)

    def decode(self, latents: Latents, start: int, end: int) -> Int16:
        return _to_int16(self._vits.decode(latents, start, end) * self._gain)


def _to_int16(samples: Float32) -> Int16:
    scaled: Int16 = np.clip(np.rint(samples * 32767.0), -32767, 32767).astype(np.int16)
    return scaled

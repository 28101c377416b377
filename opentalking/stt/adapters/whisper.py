"""The offline recogniser: Whisper by CTranslate2, int8, on one thread of its own.

    utterance ──> windows of at most 28 s ──> + 5 s of silence ──> log-mel ──> encode ──> language ──> generate

Whisper was trained on 30 s and stock code always encodes 30. CTranslate2 takes less: the utterance and 5 s of zeros
cost a fifth of that at the same word error rate; with under 3 s of zeros it begins to repeat itself. All work runs on
one worker thread, so that sessions take turns and the loop never waits; a decode cannot be stopped half-way, an
utterance that was dropped before its turn is not decoded at all. There are no partial results: they would cost a decode
each, on the cores that speak and draw.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from opentalking.config import Settings
from opentalking.stt.base import Audio, Pause, STTError, Transcript
from opentalking.stt.mel import log_mel
from opentalking.stt.weights import find_weights, missing_weights
from opentalking.types import MODEL_RATE, AudioChunk, Float32, Int16

PADDING_S = 5.0
WINDOW_S = 28.0  # of Whisper's 30: at least 2 s of padding remain
EARLIEST_CUT_S = 20.0  # a longer utterance is cut where it is quietest between here and the window's end
_LONGEST = 30 * MODEL_RATE  # samples that Whisper takes
_QUIET_S = 0.2
_SHORTEST_S = 0.1
_SILENT = 30  # amplitude of s16 that no microphone stays under while somebody speaks
_REPETITION_PENALTY = 1.05  # at 1.0 a short utterance may come twice; at 1.1 a long one loses small words
_TOKENS_PER_S, _SPARE_TOKENS = 8, 10  # fast speech has six or seven a second: a decoder that raves ends there
_NO_SPEECH, _UNLIKELY = 0.6, -1.0  # both together: Whisper's own rule for "nobody spoke"
_NICE = 10
_START, _TRANSCRIBE, _NO_TIMES = "<|startoftranscript|>", "<|transcribe|>", "<|notimestamps|>"


class WhisperSTT:
    """STTAdapter; one model, recognising what it is spoken to in (base) or English (tiny.en)."""

    provider = "whisper"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="whisper", initializer=_step_back)
        self._engine: _Engine | None = None

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this engine cannot be used here, or None."""
        if importlib.util.find_spec("ctranslate2") is None:
            return "ctranslate2 is not installed: pip install 'opentalking[offline]'"
        return missing_weights(settings)

    async def warmup(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def transcribe_stream(self, audio: AsyncIterator[Audio]) -> AsyncGenerator[Transcript, None]:
        pieces = [_checked(chunk) async for chunk in audio if not isinstance(chunk, Pause)]
        pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
        text = await asyncio.get_running_loop().run_in_executor(self._thread, self._transcribe, pcm)
        yield Transcript(text, is_final=True)

    async def aclose(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> _Engine:
        if self._engine is None:
            engine = _Engine(self._settings)
            engine.transcribe(np.zeros(MODEL_RATE, np.float32))
            self._engine = engine
        return self._engine

    def _transcribe(self, pcm: Int16) -> str:
        engine = self._load()
        speech = [np.divide(window, 32768, dtype=np.float32) for window in windows(pcm) if _may_be_speech(window)]
        return " ".join(filter(None, map(engine.transcribe, speech)))


class _Engine:
    """The loaded model; every method runs on the adapter's worker thread."""

    def __init__(self, settings: Settings) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            raise STTError(f"ctranslate2 cannot be imported: {error}") from error
        folder = find_weights(settings)
        try:
            self._model = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=settings.stt_threads
            )
        except (RuntimeError, ValueError) as error:
            raise STTError(f"{folder} cannot be loaded: {error}") from error
        self._view = ctranslate2.StorageView.from_array
        self._language = f"<|{settings.stt_language}|>" if settings.stt_language else ""

    def transcribe(self, samples: Float32) -> str:
        """At most 28 s of float32 in -1..1."""
        padding = min(int(PADDING_S * MODEL_RATE), _LONGEST - len(samples))
        encoded = self._model.encode(self._view(log_mel(np.pad(samples, (0, padding)))[None]))
        prompt = [_START, _NO_TIMES]
        if self._model.is_multilingual:
            prompt[1:1] = [self._language or self._model.detect_language(encoded)[0][0][0], _TRANSCRIBE]
        most = _SPARE_TOKENS + int(_TOKENS_PER_S * len(samples) / MODEL_RATE)
        (result,) = self._model.generate(
            encoded,
            [prompt],
            beam_size=1,
            repetition_penalty=_REPETITION_PENALTY,
            max_length=2 * most,  # half of it is for a prompt, in CTranslate2's counting
            return_no_speech_prob=True,
            return_scores=True,
        )
        if result.no_speech_prob > _NO_SPEECH and result.scores[0] < _UNLIKELY:
            return ""
        return text_of(result.sequences[0])


def _step_back() -> None:
    """Let whoever keeps a clock go first: a decode is a burst of a whole core. The model's threads inherit it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # of this thread alone, on Linux


def windows(pcm: Int16) -> Iterator[Int16]:
    """The utterance in pieces of at most 28 s, cut where it is quietest."""
    longest, earliest, quiet = (int(s * MODEL_RATE) for s in (WINDOW_S, EARLIEST_CUT_S, _QUIET_S))
    while len(pcm) > longest:
        steps = pcm[earliest:longest].astype(np.float32).reshape(-1, quiet // 2)
        energy = (steps**2).sum(axis=1)
        cut = earliest + int(np.argmin(energy[:-1] + energy[1:]) + 1) * (quiet // 2)
        yield pcm[:cut]
        pcm = pcm[cut:]
    yield pcm


def _may_be_speech(pcm: Int16) -> bool:
    """Whether it is worth a decode; of silence, Whisper makes words."""
    return len(pcm) >= _SHORTEST_S * MODEL_RATE and bool(np.percentile(np.abs(pcm.astype(np.int32)), 95) >= _SILENT)


def _checked(chunk: AudioChunk) -> Int16:
    if chunk.sample_rate != MODEL_RATE:
        raise STTError(f"whisper hears {MODEL_RATE} Hz, not {chunk.sample_rate}")
    return chunk.data


def text_of(tokens: list[str]) -> str:
    """Byte-level BPE back to text: a character of a token stands for a byte (GPT-2's table). Special tokens go."""
    table = _bytes_of_characters()
    raw = bytes(table[character] for token in tokens if not token.startswith("<|") for character in token)
    return raw.decode("utf-8", "replace").strip()


@lru_cache(maxsize=1)
def _bytes_of_characters() -> dict[str, int]:
    """Printable bytes stand for themselves, the others for the characters from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}

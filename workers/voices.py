"""The voices of a speech process: which engines can be used here, each loaded at its first use, and a taste of each."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import logging
import time
import wave
from typing import Any

import msgspec
import numpy as np

from opentalking.config import Settings
from opentalking.store import Preview
from opentalking.tts.base import TTSAdapter, TTSError, Voice
from opentalking.tts.policy import VoiceChain, Wanted
from opentalking.tts.registry import available, create_tts, pick_tts
from opentalking.types import AudioChunk

log = logging.getLogger(__name__)


class Voices:
    """Engines once a process. `chain` is how turns speak with them."""

    def __init__(self, config: Settings) -> None:
        """Raises TTSError if no engine can be used."""
        self._config = config
        self._engines: dict[str, asyncio.Task[TTSAdapter]] = {}
        self._info: dict[str, Any] = {}
        self.default = pick_tts(config)
        self.chain = VoiceChain(config, self.load, self.default)
        if self.default != config.tts_provider:
            log.warning("voice engine %s cannot be used here; speaking with %s", config.tts_provider, self.default)

    def info(self) -> dict[str, Any]:
        """For the heartbeat: engines, and the voices of those that can be used."""
        return self._info

    async def warm(self) -> None:
        """Load the default engine, and see what the others have. Raises TTSError."""
        _, (engines, voices) = await asyncio.gather(self.load(self.default), asyncio.to_thread(self._look_around))
        self._info = {"tts": engines, "default_tts": self.default, "voices": voices}

    def _look_around(self) -> tuple[dict[str, Any], list[Any]]:
        engines: dict[str, Any] = {}
        voices: list[Voice] = []
        for name, reason in available(self._config).items():
            engines[name] = {"available": reason is None, "reason": reason or "", "any_voice": False}
            if reason is not None:
                continue
            try:
                tts = create_tts(name, self._config)
                voices += tts.voices()
                engines[name]["any_voice"] = tts.any_voice
            except TTSError as error:
                engines[name] |= {"available": False, "reason": str(error)}
            except Exception as error:  # one that is broken hides no other; its words may hold a key
                engines[name] |= {"available": False, "reason": f"it failed with {type(error).__name__}"}
        return engines, [msgspec.to_builtins(voice) for voice in voices]

    async def load(self, name: str) -> TTSAdapter:
        """The engine, loaded once, however many sessions ask for it meanwhile. Raises TTSError, each time anew."""
        loading = self._engines.get(name)
        if loading is None or (loading.done() and loading.exception() is not None):
            loading = self._engines[name] = asyncio.create_task(self._load(name))
        return await asyncio.shield(loading)

    async def _load(self, name: str) -> TTSAdapter:
        tts = create_tts(name, self._config)
        await tts.warmup()
        return tts

    async def preview(self, wanted: Preview) -> dict[str, Any]:
        """What an engine makes of a text, as the reply to who asked: a WAV in base64, or why there is none.

        Nobody stands in for the engine here: who listens wants to know how it sounds. It is as loud as in a session."""
        name, chunks = wanted.tts_provider or self.default, []
        speaker = self.chain.configured(Wanted(name, wanted.tts_voice, wanted.tts_model))
        speech = self.chain.alone(speaker, wanted.text)
        try:
            async with asyncio.timeout(max(0.0, wanted.deadline - time.time())), contextlib.aclosing(speech):
                chunks = [chunk async for chunk in speech]
        except TTSError as error:
            return {"code": error.code, "detail": str(error)}
        except TimeoutError:
            return {"code": "timeout", "detail": f"{name} did not answer in time"}
        if not chunks:
            return {"code": "bad_request", "detail": "the text holds nothing that can be spoken"}
        heard = self.chain.levels.matched((speaker.provider, speaker.voice, speaker.model), chunks)
        return {"wav": base64.b64encode(_wav(heard)).decode()}

    async def close(self) -> None:
        for loading in self._engines.values():
            loading.cancel()
            for tts in await asyncio.gather(loading, return_exceptions=True):
                if not isinstance(tts, BaseException):
                    await tts.aclose()


def _wav(chunks: list[AudioChunk]) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(chunks[0].sample_rate)
        writer.writeframes(np.concatenate([chunk.data for chunk in chunks]).astype("<i2").tobytes())
    return file.getvalue()

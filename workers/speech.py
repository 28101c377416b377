"""The speech process: conversations, from text to PCM slots. `python -m workers.speech`.

It owns the commands of its sessions (speak, chat), the language model's one pooled connection and the voices. GPL
engines (Piper, espeak-ng) are loaded nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

import msgspec

from opentalking.llm.base import LLMError
from opentalking.llm.openai_compatible import OpenAICompatibleLLM
from opentalking.store import Chat, Command, Session, Speak
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.registry import available, create_tts, pick_tts
from workers.conversation import ConversationSession
from workers.lifecycle import Worker, run_worker

log = logging.getLogger(__name__)

_DRAIN_S = 4.0


class SpeechService:
    """Voices and the language model once a process; one ConversationSession a session."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._config = worker.config
        self.sessions: dict[str, ConversationSession] = {}
        config = self._config
        self._llm = OpenAICompatibleLLM(config, config.llm_base_url, config.llm_api_key, config.llm_model)
        self._voices: dict[str, TTSAdapter] = {}
        self._default = ""
        self._info: dict[str, Any] = {}

    def info(self) -> dict[str, Any]:
        return self._info

    async def start(self) -> None:
        config = self._config
        self._default = pick_tts(config)
        if self._default != config.tts_provider:
            log.warning("voice engine %s cannot be used here; speaking with %s", config.tts_provider, self._default)
        await self._voice(self._default)
        reasons = available(config)
        self._info = {
            "llm": {
                "provider": "openai_compatible",
                "model": config.llm_model,
                "embedded": os.environ.get("OPENTALKING_LLM_EMBEDDED") == "1",
                "base_url": config.llm_base_url,
                "key_set": bool(config.llm_api_key),
            },
            "tts": {name: {"available": reason is None, "reason": reason or ""} for name, reason in reasons.items()},
            "default_tts": self._default,
            "voices": [msgspec.to_builtins(voice) for tts in self._voices.values() for voice in tts.voices()],
        }
        self._warming = asyncio.create_task(self._warm_llm())

    async def _warm_llm(self) -> None:
        """Open the connection and fill the prompt cache; a model that is not there yet is met at the first turn."""
        try:
            await self._llm.warmup()
        except LLMError as error:
            log.warning("language model: %s", error)

    async def _voice(self, name: str) -> TTSAdapter:
        if name not in self._voices:
            tts = create_tts(name, self._config)
            await tts.warmup()
            self._voices[name] = tts
        return self._voices[name]

    async def open(self, session: Session) -> None:
        folder = self._worker.node.session(session.session_id)
        if session.state == "speaking":
            await self._worker.store.set_state(session.session_id, "ready")
        conversation = ConversationSession(session, folder, self._config, self._worker.store, self._llm)
        if session.turn:
            conversation.lost(session.turn)
        self.sessions[session.session_id] = conversation

    async def handle(self, command: Command) -> None:
        session = self.sessions.get(command.session_id)
        if session is None or not isinstance(command, Speak | Chat):
            log.warning("dropping %s for %s", type(command).__name__, command.session_id)
            return
        try:
            tts = await self._voice(command.tts_provider or session.session.tts_provider or self._default)
        except TTSError as error:
            session.emit("error", {"code": "TTS_FAILED", "message": str(error), "generation": command.generation})
            return
        await session.begin(command, tts)

    def raise_generation(self, session_id: str, generation: int) -> None:
        self.sessions[session_id].raise_generation(generation)

    async def close(self, session_id: str, reason: str) -> None:
        await self.sessions.pop(session_id).close()

    async def stop(self) -> None:
        await asyncio.gather(*(session.drain(_DRAIN_S) for session in self.sessions.values()))
        for session_id in list(self.sessions):
            await self.close(session_id, "worker stopped")
        for tts in self._voices.values():
            await tts.aclose()
        await self._llm.aclose()


if __name__ == "__main__":
    run_worker("speech", SpeechService)

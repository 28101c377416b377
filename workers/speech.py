"""The speech process: conversations, from text to PCM slots. `python -m workers.speech`.

It owns the commands of its sessions (speak, chat), their microphones, the recognisers, the language model's one pooled
connection and the voices. GPL engines (Piper, espeak-ng) are loaded nowhere else.
"""

from __future__ import annotations

if __name__ == "__main__":  # before the imports below: this file is loaded again as a module, a little later
    from workers.start import run_worker

    run_worker("speech", "workers.speech:SpeechService")
    raise SystemExit

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from opentalking.llm.base import LLMAdapter, LLMError
from opentalking.llm.conversation import Entry
from opentalking.llm.late import LateLLM
from opentalking.llm.thoughts import Habit
from opentalking.slots import Utterance
from opentalking.store import Chat, ChooseVoice, Command, Heard, Preview, Seen, Session, Speak, WindUp
from workers.attention import Attention
from workers.conversation import ConversationSession
from workers.ear import Ear
from workers.lifecycle import Worker
from workers.listener import Listener
from workers.recognition import Recognisers
from workers.recorder import Recorder
from workers.spans import Spans
from workers.voices import Voices

log = logging.getLogger(__name__)

_STOPPED = "worker stopped"


class SpeechService:
    """Voices, recognisers and the language model once a process; one ConversationSession and one Ear a session."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._config = worker.config
        self.sessions: dict[str, ConversationSession] = {}
        self._ears: dict[str, Ear] = {}
        self._listeners: dict[str, Listener] = {}
        self._attention = Attention(self._config)
        self._recognisers = Recognisers(self._config)
        self._recorder = Recorder()
        self._spans: Spans | None = None
        self._llm = LateLLM(self._make_llm)
        self._habit = Habit()  # of that model
        self._voices = Voices(self._config)
        self._warming: asyncio.Task[None] | None = None
        self._info: dict[str, Any] = {}

    def info(self) -> dict[str, Any]:
        return {**self._info, **self._voices.info(), **self._recognisers.info(), **self._recorder.info()}

    def _make_llm(self) -> LLMAdapter:
        from opentalking.llm.openai_compatible import OpenAICompatibleLLM

        config = self._config
        return OpenAICompatibleLLM(config, config.llm_base_url, config.llm_api_key, config.llm_model)

    async def start(self) -> None:
        config = self._config
        if config.otlp_endpoint:
            self._spans = Spans(config.otlp_endpoint, self._worker.id)
            self._spans.start()
            self._recorder.watch = self._spans.tell

    async def warm(self) -> None:
        config = self._config
        await asyncio.gather(self._voices.warm(), self._llm.load(), self._recognisers.look_around())
        self._info = {
            "llm": {
                "provider": "openai_compatible",
                "model": config.llm_model,
                "embedded": os.environ.get("OPENTALKING_LLM_EMBEDDED") == "1",
                "base_url": config.llm_base_url,
                "key_set": bool(config.llm_api_key),
            },
        }
        self._warming = asyncio.create_task(self._warm_llm())
        self._recognisers.start()
        self._attention.start()

    async def _warm_llm(self) -> None:
        """Open the connection and fill the prompt cache; a model that is not there yet is met at the first turn."""
        try:
            await self._llm.warmup()
        except LLMError as error:
            log.warning("language model: %s", error)

    async def open(self, session: Session) -> None:
        folder = self._worker.node.session(session.session_id)
        if session.state == "speaking":
            await self._worker.store.set_state(session.session_id, "ready")
        store = self._worker.store
        remembered = await store.history(session.session_id, Entry)
        conversation = ConversationSession(
            session, folder, self._config, store, self._llm, remembered, self._recorder, self._habit
        )
        if session.turn:
            conversation.lost(session.turn, await store.past_events(session.session_id))
        try:
            self._ears[session.session_id] = self._ear(conversation, folder)
            self._listeners[session.session_id] = self._listener(conversation, folder)
        except BaseException:
            if (ear := self._ears.pop(session.session_id, None)) is not None:
                await ear.close()
            await conversation.close()
            raise
        self.sessions[session.session_id] = conversation

    def _ear(self, conversation: ConversationSession, folder: Path) -> Ear:
        """What is said into a session's microphone becomes a turn as if it had been written."""
        store, session_id = self._worker.store, conversation.session_id
        default = conversation.session.stt_provider

        async def heard(wanted: Utterance, text: str, ended_at: float) -> dict[str, Any]:
            if not wanted.turn:
                return {"text": text}
            final_at = time.time()
            conversation.emit("transcript", {"text": text, "is_final": True})
            generation = await store.next_generation(session_id)
            chat = Chat(
                session_id,
                generation,
                text,
                ended_at,
                tts_voice=wanted.tts_voice,
                tts_provider=wanted.tts_provider,
                tts_model=wanted.tts_model,
                heard=Heard(ended_at, stt_final_at=final_at, committed_at=time.time()),
            )
            await store.send(self._worker.id, chat)
            return {"text": text, "generation": generation}

        return Ear(
            folder,
            self._config,
            find=lambda name: self._recognisers.get(name or default),
            partly=lambda text: conversation.emit("transcript", {"text": text, "is_final": False}),
            heard=heard,
            reply=store.reply,
        )

    def _listener(self, conversation: ConversationSession, folder: Path) -> Listener:
        """What is said into a browser's open microphone, too."""
        store, session_id = self._worker.store, conversation.session_id

        async def commit(text: str, heard: Heard) -> None:
            conversation.emit("transcript", {"text": text, "is_final": True})
            generation = await store.next_generation(session_id)
            await store.send(self._worker.id, Chat(session_id, generation, text, heard.speech_ended_at, heard=heard))

        find = partial(self._recognisers.get, conversation.session.stt_provider)
        return Listener(folder, self._config, conversation, self._attention, find, commit)

    async def handle(self, command: Command) -> None:
        if isinstance(command, Preview):
            await self._worker.store.reply(command.request_id, await self._voices.preview(command))
            return
        session = self.sessions.get(command.session_id)
        if session is not None and isinstance(command, WindUp):
            session.wind_up(command.generation)
            return
        if session is not None and isinstance(command, ChooseVoice):
            await session.choose_voice()
            return
        if session is not None and isinstance(command, Seen):
            session.seen(command)
            return
        if session is None or not isinstance(command, Speak | Chat):
            log.warning("dropping %s for %s", type(command).__name__, command.session_id)
            return
        await session.begin(command, self._voices.chain)

    def raise_generation(self, session_id: str, generation: int) -> None:
        self.sessions[session_id].raise_generation(generation)

    async def close(self, session_id: str, reason: str) -> None:
        conversation = self.sessions.pop(session_id)
        await self._listeners.pop(session_id).close()
        await self._ears.pop(session_id).close(restarting=reason == _STOPPED)
        await conversation.close()

    async def drain(self, sessions: Sequence[Session], bound_s: float) -> None:
        await asyncio.gather(*(session.drain(bound_s) for session in self.sessions.values()))

    async def stop(self) -> None:
        for session_id in list(self.sessions):
            await self.close(session_id, _STOPPED)
        if self._warming is not None:
            self._warming.cancel()
        await self._voices.close()
        await self._recognisers.stop()
        await self._attention.stop()
        await self._llm.aclose()
        if self._spans is not None:
            await self._spans.stop()

"""A session's microphone as the speech process hears it: slots in, an utterance to the recogniser, an answer out.

    ring   START ──── PCM … PCM ──── END ·········································· released
             │            │           │                                               │
             └ recogniser └ fed       └ its final text ──> turn ──> reply to the api ─┘

The slot that ends an utterance is released only when the api has its reply. So whoever is waiting for one is answered
even if this process dies meanwhile: the next one finds an end without a beginning, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from opentalking.config import Settings
from opentalking.slots import MicFlags, Utterance, reply_key, unpack_mic
from opentalking.store import StoreError
from opentalking.stt.base import STTAdapter, STTError, Transcript
from workers import links
from workers.dictation import Dictation

log = logging.getLogger(__name__)

Find = Callable[[str], Awaitable[STTAdapter]]
Heard = Callable[[Utterance, str, float], Awaitable[dict[str, Any]]]  # (wanted, text, when it ended) -> reply
Partly = Callable[[str], None]
Reply = Callable[[str, dict[str, Any]], Awaitable[None]]


class Refused(Exception):
    """An utterance that comes to nothing: a stable code, and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class _Listening(NamedTuple):
    """One utterance while it lasts."""

    number: int
    wanted: Utterance
    dictation: Dictation


class Ear:
    """Reads a session's ring. All methods run in the loop's thread, and none waits for a recogniser."""

    def __init__(self, folder: Path, config: Settings, find: Find, partly: Partly, heard: Heard, reply: Reply) -> None:
        """`find` gives a recogniser; `partly` is told what was understood so far, `heard` what was said in the end."""
        self._config = config
        self._find = find
        self._partly = partly
        self._heard = heard
        self._reply = reply
        self._listening: _Listening | None = None
        self._answering: asyncio.Task[None] | None = None
        self._unanswered = 0
        self._ring = links.mic_consumer(folder)
        self._ring.listen(self._read)

    def _read(self) -> None:
        while self._answering is None and (slot := self._ring.front()) is not None:
            number, flags, content = unpack_mic(slot.payload)
            if flags & MicFlags.END:
                self._unanswered = number
                self._answering = asyncio.create_task(self._answer(number))
                return  # it is released with the answer
            self._take(number, flags, content)
            self._ring.advance()
        self._ring.front()  # the words that woke us must be read, whatever waits behind an answer

    def _take(self, number: int, flags: MicFlags, content: memoryview) -> None:
        if flags & MicFlags.START:
            self._forget()
            with contextlib.suppress(msgspec.MsgspecError):
                self._listening = self._listen(number, msgspec.json.decode(content, type=Utterance))
        elif self._listening is None or self._listening.number != number:
            return  # its beginning went with the process before this one
        elif flags & MicFlags.ABORTED:
            self._forget()
        else:
            self._listening.dictation.feed(np.frombuffer(content, np.int16, len(content) // 2))

    def _listen(self, number: int, wanted: Utterance) -> _Listening:
        """The api bounds an utterance; what a stranger writes beyond that is not kept."""

        def told(transcript: Transcript) -> None:
            if wanted.turn:
                self._partly(transcript.text)

        longest_s = self._config.stt_max_utterance_s
        return _Listening(number, wanted, Dictation(lambda: self._find(wanted.stt_provider), longest_s, told))

    def _forget(self) -> None:
        if self._listening is not None:
            self._listening.dictation.drop()
            self._listening = None

    async def _answer(self, number: int) -> None:
        """The end of an utterance, until its sender has been told what became of it."""
        ended_at = time.time()
        listening, self._listening = self._listening, None
        try:
            reply = await self._understand(listening, number, ended_at)
        except Refused as refused:
            reply = {"code": refused.code, "detail": str(refused)}
        await self._tell(number, reply)
        self._answering = None
        self._ring.advance()
        self._read()

    async def _tell(self, number: int, reply: dict[str, Any]) -> None:
        try:
            await self._reply(reply_key(number), reply)
        except StoreError as error:
            log.warning("an utterance's reply is lost: %s", error)

    async def _understand(self, listening: _Listening | None, number: int, ended_at: float) -> dict[str, Any]:
        if listening is None or listening.number != number:
            if listening is not None:
                listening.dictation.drop()
            raise Refused("worker_restarted", "the speech worker was restarted; say it again")
        listening.dictation.end()
        bound_s = self._config.stt_timeout_s
        try:
            async with asyncio.timeout(bound_s):
                text = await listening.dictation.text()
            if not text and listening.wanted.turn:
                raise Refused("speech_empty", "no words were recognised")
            return await self._heard(listening.wanted, text, ended_at)
        except TimeoutError:
            raise Refused("stt_timeout", f"the recogniser took longer than {bound_s:g} s") from None
        except STTError as error:
            raise Refused("stt_failed", str(error)) from error
        except StoreError as error:
            raise Refused("stt_failed", f"the turn could not be begun: {error}") from error
        except Refused:
            raise
        except Exception as error:
            log.exception("an utterance failed")
            raise Refused("stt_failed", str(error) or type(error).__name__) from error
        finally:
            listening.dictation.drop()

    async def close(self, restarting: bool = False) -> None:
        """Whoever speaks, or waits for an answer, is told."""
        told = {"code": "session_left", "detail": "the session was let go of"}
        if restarting:
            told = {"code": "worker_restarted", "detail": "the speech worker is restarting; say it again"}
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.gather(self._answering, return_exceptions=True)
            await self._tell(self._unanswered, told)
        elif self._listening is not None:
            await self._tell(self._listening.number, told)
        self._forget()
        self._ring.close()

"""One utterance on its way to the session's speech worker: the producer's end of the microphone ring.

    begin ──> write … write ──> end ──> result        or, at any time, abandon

A session has one microphone: the ring's role is a lock, and whoever comes second is told so. The ring is shared memory,
so the session must be of this machine's node. A worker that is slow is waited for, and with it the client, whose socket
is not read meanwhile; one that takes nothing at all is given up.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from types import TracebackType
from typing import Any, Self

import msgspec

from api.errors import ApiError
from opentalking.config import Settings
from opentalking.slots import MIC_BYTES, MicFlags, Utterance, pack_mic, reply_key
from opentalking.store import Session, Store
from opentalking.types import MODEL_RATE
from shm import RoleTaken
from workers import links

TAKEN_S = 10.0  # a worker that restarts is back long before
REPLY_SLACK_S = 5.0  # the worker's own bound comes first
LOOK_S = 5.0  # between two looks at whether the session still lives
_SAMPLE = 2  # bytes

_STATUSES = {"speech_empty": 400, "stt_failed": 502, "stt_timeout": 504, "worker_restarted": 503, "session_left": 409}


class Microphone:
    """`with Microphone(...) as microphone`; left before `end`, the utterance is forgotten."""

    def __init__(self, settings: Settings, store: Store, session: Session) -> None:
        """Raises ApiError: 503 other_node, 503 session_loading, 409 session_left, 409 microphone_busy."""
        self._settings = settings
        self._store = store
        self._session_id = session.session_id
        self._number = secrets.randbits(64)
        self._open = False
        self._odd = b""
        self._room = int(settings.stt_max_utterance_s * MODEL_RATE) * _SAMPLE
        if session.node != settings.node:
            detail = f"session {session.session_id} is on node {session.node}; speak to the API of that node"
            raise ApiError(503, "other_node", detail)
        if "speech" not in session.ready:
            detail = f"the speech worker has not opened session {session.session_id} yet"
            raise ApiError(503, "session_loading", detail, {"Retry-After": "1"})
        folder = settings.shm_root / session.session_id
        if not folder.is_dir():  # made by its workers, and not by us once they have removed it
            raise ApiError(409, "session_left", f"the workers of session {session.session_id} have let go of it")
        try:
            self._ring = links.mic_producer(folder)
        except RoleTaken:
            detail = f"somebody is speaking to session {session.session_id} already"
            raise ApiError(409, "microphone_busy", detail, {"Retry-After": "1"}) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._open and (slot := self._ring.try_claim()) is not None:  # in a full ring, the next START says it
            self._ring.publish(0, pack_mic(slot, self._number, MicFlags.ABORTED))
        self._ring.close()

    async def begin(self, wanted: Utterance) -> None:
        await self._put(MicFlags.START, msgspec.json.encode(wanted))
        self._open = True

    async def write(self, pcm: bytes) -> None:
        """s16le 16 kHz mono, cut anywhere. Raises ApiError 413 when the utterance is longer than it may be."""
        self._room -= len(pcm)
        if self._room < 0:
            longest_s = self._settings.stt_max_utterance_s
            raise ApiError(413, "utterance_too_long", f"speech: longer than {longest_s:g} s")
        content = memoryview(self._odd + pcm)
        whole = len(content) // _SAMPLE * _SAMPLE
        for start in range(0, whole, MIC_BYTES):
            await self._put(MicFlags.NONE, content[start : min(whole, start + MIC_BYTES)])
        self._odd = bytes(content[whole:])

    async def end(self) -> None:
        await self._put(MicFlags.END)
        self._open = False

    async def result(self) -> dict[str, Any]:
        """What was understood: `text`, and the `generation` of the turn it became. Raises ApiError."""
        reply = await self._reply()
        if "text" not in reply:
            code = str(reply.get("code", "stt_failed"))
            raise ApiError(_STATUSES.get(code, 502), code, str(reply.get("detail", "speech was not recognised")))
        return reply

    async def _reply(self) -> dict[str, Any]:
        """The worker's; one that will not come, because the session is over, is not waited for long."""
        bound_s = self._settings.stt_timeout_s + REPLY_SLACK_S
        deadline = time.monotonic() + bound_s
        while (left_s := deadline - time.monotonic()) > 0:
            reply = await self._store.wait_reply(reply_key(self._number), min(left_s, LOOK_S))
            if reply is not None:
                return reply
            session = await self._store.get_session(self._session_id)
            if session is None or session.ended:
                raise ApiError(409, "session_left", f"session {self._session_id} is over")
        raise ApiError(504, "stt_timeout", f"the speech worker did not answer within {bound_s:g} s")

    async def _put(self, flags: MicFlags, content: bytes | memoryview = b"") -> None:
        try:
            async with asyncio.timeout(TAKEN_S):
                slot = await self._ring.claim()
        except TimeoutError:
            detail = f"the speech worker took nothing for {TAKEN_S:g} s"
            raise ApiError(503, "worker_stalled", detail, {"Retry-After": "5"}) from None
        self._ring.publish(0, pack_mic(slot, self._number, flags, content))

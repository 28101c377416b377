"""One client's session: sound in, pictures out, in the dialect that the client spoke first.

    socket ──> reading: parse, check, bound ──> queue ──> drawing: 40 ms by 40 ms through the model ──> VIDX

Every sound message and every `end` is answered once, in order. A reset makes what is queued stale: it is answered with
no pictures, and not drawn. A client that knows nothing of `partial` must get as many pictures as its sound lasts at
once: what the model's look-ahead withholds is made up by idle pictures at the beginning, so its lips are late by that.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from opentalking.avatars import AvatarError
from opentalking.config import Settings
from opentalking.models.adapter import AvatarState
from opentalking.models.remote import wire
from opentalking.models.remote.adapter import MOUTH_ALONE
from opentalking.models.remote.wire import Geometry, Opening, WireError
from opentalking.types import FPS, FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16
from workers.synth.device import Device
from workers.synth.faces import Faces

OPENING_S = 10.0
MOST_WAITING = 256  # messages of any kind; sound is bounded by the pipeline

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Sound:
    """Whole 40 ms chunks, int16 (n * 640,); `age` counts resets before it."""

    age: int
    pcm: Int16


@dataclass(frozen=True, slots=True)
class _End:
    age: int


@dataclass(frozen=True, slots=True)
class _Reset:
    age: int


class Session:
    """`run` returns when the client has gone, or was told why it must go."""

    def __init__(self, socket: web.WebSocketResponse, device: Device, faces: Faces, config: Settings) -> None:
        self._socket = socket
        self._device = device
        self._faces = faces
        self._config = config
        self._queue: asyncio.Queue[_Sound | _End | _Reset] = asyncio.Queue()
        self._unanswered = 0  # sound messages
        self._age = 0
        self._due: deque[Any] = deque()
        self._start = self._pose = 0

    async def run(self, session_id: str) -> None:
        try:
            async with asyncio.timeout(OPENING_S):
                first = await self._socket.receive()
        except TimeoutError:
            raise WireError(f"no opening within {OPENING_S:g} s") from None
        if first.type is WSMsgType.TEXT:
            opening, dialect = wire.parse_opening(first.data)
            key, face = await self._faces.take(opening)
            self._pose = self._start = face.start
            try:
                geometry = self._geometry(opening, face.avatar)
                stream = await self._device.run(self._device.adapter.open_stream, face.avatar)
                await self._socket.send_str(wire.encode_geometry(geometry, dialect, session_id))
                await self._serve(face.avatar, stream, geometry)
            finally:
                self._faces.leave(key)
        elif first.type is WSMsgType.BINARY:
            raise WireError("the first message is the opening, as JSON")

    async def drained(self) -> None:
        """Wait until everything that was asked for is answered."""
        await self._queue.join()

    def _geometry(self, opening: Opening, avatar: AvatarState) -> Geometry:
        adapter, slices = self._device.adapter, opening.slice_len or self._config.synth_slice_len
        still = adapter.model_type in MOUTH_ALONE
        return Geometry(
            slice_len=slices,
            frame_num=slices,
            fps=FPS,
            width=avatar.width,
            height=avatar.height,
            chunk_samples=slices * MODEL_SAMPLES,
            pipeline=self._config.synth_pipeline,
            extensions=opening.extensions & (wire.EXTENSIONS if still else wire.EXTENSIONS - {"still"}),
            lookahead_ms=adapter.chunk_ms - FRAME_MS + adapter.lookahead_ms,
        )

    async def _serve(self, avatar: AvatarState, stream: Any, geometry: Geometry) -> None:
        drawing = asyncio.create_task(self._draw(avatar, stream, geometry))
        reading = asyncio.create_task(self._read(geometry))
        try:
            done, _ = await asyncio.wait([drawing, reading], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (drawing, reading):
                task.cancel()
            await asyncio.gather(drawing, reading, return_exceptions=True)

    async def _read(self, geometry: Geometry) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                self._queue.put_nowait(_Sound(self._age, self._checked(wire.parse_sound(message.data), geometry)))
                self._unanswered += 1
            elif message.type is WSMsgType.TEXT:
                if (kind := wire.parse_control(message.data).kind) == "close":
                    await self._socket.send_str(wire.encode_control("close_ok"))
                    return
                await self._heed(kind, geometry)

    def _checked(self, pcm: Int16, geometry: Geometry) -> Int16:
        if self._unanswered >= geometry.pipeline:
            raise WireError(f"more than {geometry.pipeline} sound messages at once; wait for pictures")
        if geometry.partial and (len(pcm) % MODEL_SAMPLES or len(pcm) > geometry.chunk_samples):
            raise WireError(f"{len(pcm)} samples; a message has {MODEL_SAMPLES}, 2 × … up to {geometry.chunk_samples}")
        if not geometry.partial and len(pcm) != geometry.chunk_samples:
            raise WireError(f"{len(pcm)} samples; every message has {geometry.chunk_samples}")
        return pcm

    async def _heed(self, kind: str, geometry: Geometry) -> None:
        if self._queue.qsize() > MOST_WAITING:
            raise WireError(f"more than {MOST_WAITING} messages at once; wait for answers")
        if kind == "config_update":
            await self._socket.send_str(wire.encode_control("config_ok"))
        elif kind == "end" and geometry.partial:
            self._queue.put_nowait(_End(self._age))
        elif kind == "reset" and "reset" in geometry.extensions:
            self._age += 1
            self._queue.put_nowait(_Reset(self._age))
        else:
            raise WireError(f"{kind} was not agreed on in the opening")

    async def _draw(self, avatar: AvatarState, stream: Any, geometry: Geometry) -> None:
        while True:
            asked = await self._queue.get()
            if isinstance(asked, _Reset):
                self._due.clear()
                self._pose = self._start
                await self._device.run(self._device.adapter.reset, stream)
            else:
                await self._hear(asked, stream)
                strict = asked.pcm if isinstance(asked, _Sound) and not geometry.partial else None
                count = len(self._due) if strict is None else len(strict) // MODEL_SAMPLES
                jpegs = await self._pictures(asked.age, avatar, stream, count)
                if isinstance(asked, _Sound):
                    self._unanswered -= 1
                else:
                    self._pose = self._start
                await self._socket.send_bytes(wire.encode_pictures(jpegs))
            self._queue.task_done()

    async def _hear(self, asked: _Sound | _End, stream: Any) -> None:
        if isinstance(asked, _Sound):
            for part in asked.pcm.reshape(-1, MODEL_SAMPLES):
                if asked.age != self._age:
                    return
                self._due.extend(await self._device.predict(AudioChunk(part, MODEL_RATE), stream))
        elif asked.age == self._age:
            self._due.extend(await self._device.predict(None, stream))

    async def _pictures(self, age: int, avatar: AvatarState, stream: Any, count: int) -> list[bytes]:
        """So many pictures, or none if they became stale; first idle ones for what is not due yet."""
        encoding = []
        for missing in range(count - 1, -1, -1):
            if age != self._age:
                break
            prediction = self._due.popleft() if len(self._due) > missing else None
            encoding.append(await self._device.picture(avatar, stream, self._pose, prediction))
            self._pose = (self._pose + 1) % avatar.idle_frames
        jpegs = await asyncio.gather(*encoding)
        return jpegs if age == self._age else []


def refusal_of(error: Exception) -> str:
    """What a client is told. Nothing of our own insides."""
    if isinstance(error, WireError | AvatarError):
        return str(error)
    _log.exception("a session failed", exc_info=error)
    return "the model failed on this machine; its log says why"

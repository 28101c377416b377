"""A stand-in for the original's audio2video servers, in both dialects: one request, one answer, and no extensions.

Each picture is one colour, the mirror's for its own stretch of sound. What goes wrong is set by `failure`, and happens
to the next answer. Whoever sends sound before the last was answered has broken the protocol: an error, and the end.
"""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from typing import Any, Literal

import cv2
import numpy as np
from aiohttp import WSMsgType, web

from opentalking.types import MODEL_RATE, AudioChunk, Int16, i420_shape

from .mirror import GREY, colour
from .threaded_server import ThreadedServer

KEY = "a-key-that-is-right"
Failure = Literal["", "error", "malformed", "not_a_jpeg", "oversize", "mute", "drop", "no_picture"]


class StrictServer(ThreadedServer):
    """`slices` pictures at `fps` of SIDE x SIDE for each message of slices * 16000 // fps samples."""

    side = 64

    def __init__(self, slices: int = 8, fps: int = 25, flashhead: bool = False) -> None:
        super().__init__()
        self.slices, self.fps, self.flashhead = slices, fps, flashhead
        self.samples = slices * MODEL_RATE // fps
        self.failure: Failure = ""
        self.refuse = ""  # what the opening is answered with, if anything
        self.openings: list[dict[str, Any]] = []
        self.heard: list[int] = []  # samples of each message
        self.too_early = 0  # messages that came while one was worked on
        self.connections = 0
        self.closings: list[str] = []
        self.answering = threading.Event()  # cleared: sound is kept waiting
        self.answering.set()
        self.has_heard = threading.Event()
        self.arrived = threading.Semaphore(0)  # released when one has come
        self._sockets: list[web.WebSocketResponse] = []
        self.gone = threading.Semaphore(0)  # released when a client has gone

    @property
    def base(self) -> str:
        return f"http://{self.address}"

    def cut(self) -> None:
        """Break every connection, as a network does."""

        def abort() -> None:
            for socket in self._sockets:
                if socket._req is not None and socket._req.transport is not None:
                    socket._req.transport.abort()

        self._loop.call_soon_threadsafe(abort)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/audio2video/models", self._models), web.get("/v1/audio2video/{model}", self._serve)]

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in (None, f"Bearer {KEY}"):
            raise web.HTTPUnauthorized()
        return web.json_response({"models": [{"id": "wav2lip"}, {"id": "flashtalk"}]})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in (None, f"Bearer {KEY}"):
            raise web.HTTPUnauthorized()
        socket = web.WebSocketResponse(max_msg_size=50_000_000)
        await socket.prepare(request)
        self.connections += 1
        self._sockets.append(socket)
        self.arrived.release()
        self.openings.append(await socket.receive_json())
        if self.refuse:
            await socket.send_json({"type": "error", "message": self.refuse})
            return socket
        await socket.send_json(self._geometry())
        await self._converse(socket)
        self.gone.release()
        return socket

    def _geometry(self) -> dict[str, Any]:
        if self.flashhead:
            audio = {"sample_rate": MODEL_RATE, "chunk_samples": self.samples}
            video = {"fps": self.fps, "width": self.side, "height": self.side, "frame_count": self.slices + 1}
            video["motion_frames_num"] = 1
            return {"type": "session.created", "session_id": "s1", "audio": audio, "video": video}
        shape = {"fps": self.fps, "width": self.side, "height": self.side, "slice_len": self.slices}
        return {"type": "init_ok", "frame_num": self.slices, "motion_frames_num": 0, **shape}

    async def _converse(self, socket: web.WebSocketResponse) -> None:
        working: asyncio.Task[None] | None = None
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.closings.append(json.loads(message.data)["type"])
                break
            if working is not None and not working.done():
                self.too_early += 1
                await socket.send_json({"type": "error", "message": "one request at a time"})
                break
            pcm = np.frombuffer(message.data, "<i2", offset=4)
            assert message.data[:4] == b"AUDI" and len(pcm) == self.samples, f"{len(pcm)} samples"
            self.heard.append(len(pcm))
            self.has_heard.set()
            working = asyncio.create_task(self._answer(socket, pcm))
        if working is not None:
            working.cancel()

    async def _answer(self, socket: web.WebSocketResponse, pcm: Int16) -> None:
        if not self.answering.is_set():
            await asyncio.to_thread(self.answering.wait, 60)
        if self.flashhead:
            await socket.send_json({"type": "metrics", "queue": 0})
        failure, self.failure = self.failure, ""
        jpegs = [_jpeg(part, self.side) for part in np.array_split(pcm, self.slices)]
        if failure == "error":
            await socket.send_json({"type": "error", "message": "CUDA out of memory"})
        elif failure == "malformed":
            await socket.send_bytes(_vidx(jpegs)[:-3])
        elif failure == "not_a_jpeg":
            await socket.send_bytes(_vidx([b"not a picture"] * self.slices))
        elif failure == "no_picture":
            await socket.send_bytes(_vidx([]))
        elif failure == "oversize":
            await socket.send_bytes(bytes(51_000_000))
        elif failure == "drop":
            self.cut()
        elif failure != "mute":
            await socket.send_bytes(_vidx(jpegs))


def _vidx(jpegs: list[bytes]) -> bytes:
    return b"VIDX" + struct.pack("<I", len(jpegs)) + b"".join(struct.pack("<I", len(jpeg)) + jpeg for jpeg in jpegs)


def _jpeg(pcm: Int16, side: int) -> bytes:
    """The mirror's colour of this stretch of sound, paler, so that JPEG has it too."""
    whole = np.resize(pcm, 640).astype(np.int16)
    y, u, v = colour(AudioChunk(whole, MODEL_RATE))
    u, v = (GREY + (chroma - GREY) // 2 for chroma in (u, v))
    i420 = np.empty(i420_shape(side, side), np.uint8)
    i420[:side], i420[side : side * 5 // 4], i420[side * 5 // 4 :] = y, u, v
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420))[1].tobytes())

"""A stand-in for DashScope's recogniser: its WebSocket protocol, as its own library speaks it, with scripted sentences.

<- run-task   -> task-started   <- sound (binary) …   -> result-generated …   <- finish-task   -> task-finished
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Literal

import numpy as np
from aiohttp import WSMsgType, web

from .threaded_server import ThreadedServer

KEY = "a-key-that-is-right"
_PATH = "/api-ws/v1/inference"
Failure = Literal["", "task-failed", "drop", "mute"]
_BYTES_A_SECOND = 32_000
_EVERY = _BYTES_A_SECOND // 4  # of sound, between results


class DashScopeServer(ThreadedServer):
    """Loud sound is `sentences`, a word for each result; quiet sound is nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.sentences = ["What is the weather like today?"]
        self.failure: Failure = ""  # when the first second of sound has come
        self.tasks: list[dict[str, Any]] = []  # payloads of run-task
        self.asked = threading.Event()  # with the first of them
        self.received: list[int] = []  # bytes of sound of each task that has ended

    @property
    def base_url(self) -> str:
        return f"ws://{self.address}{_PATH}"

    def routes(self) -> list[web.RouteDef]:
        return [web.get(_PATH, self._serve)]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"code": "InvalidApiKey", "message": "Invalid API-key provided."}, status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        with contextlib.suppress(ConnectionResetError):  # the client has gone
            await _Task(self, socket).run()
        return socket


class _Task:
    """One utterance."""

    def __init__(self, server: DashScopeServer, socket: web.WebSocketResponse) -> None:
        self._server = server
        self._socket = socket
        self._id = ""
        self._sound = bytearray()
        self._loud = False
        self._results = 0
        self._words = [(index, word) for index, text in enumerate(server.sentences) for word in _words(text)]

    async def run(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                if not await self._hear(message.data):
                    break
            elif message.type is WSMsgType.TEXT:
                told = message.json()
                action, self._id = told["header"]["action"], told["header"]["task_id"]
                if action == "run-task":
                    self._server.tasks.append(told["payload"])
                    self._server.asked.set()
                    await self._send("task-started", {})
                    await self._send("result-generated", {"output": {"sentence": {"heartbeat": True, "text": ""}}})
                elif action == "finish-task" and self._server.failure != "mute":
                    await self._finish()
                    break
        self._server.received.append(len(self._sound))

    async def _hear(self, sound: bytes) -> bool:
        self._sound += sound
        self._loud = self._loud or bool(np.abs(np.frombuffer(sound, np.int16).astype(int)).max(initial=0) > 1000)
        if self._server.failure == "task-failed" and len(self._sound) >= _BYTES_A_SECOND:
            error = {"error_code": "InvalidParameter", "error_message": "the stand-in has had enough"}
            await self._send("task-failed", {}, **error)
            return False
        if self._server.failure == "drop" and len(self._sound) >= _BYTES_A_SECOND:
            if self._socket._req is not None and self._socket._req.transport is not None:
                self._socket._req.transport.abort()
            return False
        if self._loud and self._server.failure != "mute" and len(self._sound) >= _EVERY * (self._results + 1):
            await self._one_more_word()
        return True

    async def _one_more_word(self) -> None:
        if self._results < len(self._words) - 1:  # the last one comes when all is said
            await self._result(self._results)
        self._results += 1

    async def _result(self, index: int) -> None:
        """The sentence of that word, up to it; it is over when it holds the last one."""
        sentence, _ = self._words[index]
        text = "".join(word for of, word in self._words[: index + 1] if of == sentence).strip()
        over = index + 1 == len(self._words) or self._words[index + 1][0] != sentence
        now_ms = len(self._sound) // 32
        word = {"begin_time": 0, "end_time": now_ms, "text": text, "punctuation": "", "fixed": over}
        result = {
            "sentence_id": sentence + 1,
            "begin_time": 0,
            "end_time": now_ms if over else None,
            "text": text,
            "words": [word],
            "sentence_end": over,
            "heartbeat": False,
        }
        await self._send(
            "result-generated", {"output": {"sentence": result}, "usage": {"duration": 1} if over else None}
        )

    async def _finish(self) -> None:
        if self._loud:
            for index in range(min(self._results, len(self._words) - 1), len(self._words)):
                await self._result(index)
        await self._send("task-finished", {"output": {}, "usage": {"duration": len(self._sound) // _BYTES_A_SECOND}})

    async def _send(self, event: str, payload: dict[str, Any], **more: str) -> None:
        header = {"task_id": self._id, "event": event, "attributes": {}, **more}
        await self._socket.send_json({"header": header, "payload": payload})


def _words(text: str) -> list[str]:
    """With the space before each; Chinese by characters."""
    return [f" {word}" for word in text.split()] if text.isascii() else list(text)

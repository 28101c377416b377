"""Stand-ins for DashScope's voices: the protocols that its own library speaks to them.

/api-ws/v1/inference     run-task, continue-task, finish-task -> task-started, sound, task-finished or task-failed
                         (CosyVoice sends its text in continue-task, Sambert in run-task)
/api-ws/v1/realtime      session.update, input_text_buffer.append, .commit -> response.audio.delta, response.done
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import aclosing
from typing import Any

from aiohttp import WSMsgType, web

from .voice_servers import KEY, Aborted, Fault, VoiceServer, cut, encoded


class DashScopeVoices(VoiceServer):
    """CosyVoice and Sambert: task after task on a connection.

    `sockets` counts the connections that were opened, `latest` is the last."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets = 0
        self.latest: web.WebSocketResponse | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api-ws/v1/inference", self._serve)]

    @property
    def url(self) -> str:
        return self.base_url.replace("http", "ws") + "/api-ws/v1/inference"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"code": "InvalidApiKey", "message": "Invalid API-key provided."}, status=401)
        if self.faults and self.faults[0].status:
            return await self.refuse(self.faults.pop(0))
        self.sockets += 1
        self.latest = socket = web.WebSocketResponse()
        await socket.prepare(request)
        task, speaking = {}, None
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            told = message.json()
            action, payload = told["header"]["action"], told["payload"]
            if action == "run-task":
                assert speaking is None or speaking.done(), "a task before the one before was over"
                assert told["header"]["task_id"] != task.get("task_id"), "a task's id is its own"
                task = {"task_id": told["header"]["task_id"], "attributes": {}}
                parameters, said = payload["parameters"], ""
                voice = parameters.get("voice", payload["model"])
                asked = {"model": payload["model"], "voice": voice, **parameters}
                fault = self.asked(asked)
                await socket.send_json({"header": {**task, "event": "task-started"}, "payload": {}})
            said += payload.get("input", {}).get("text", "")
            if action == "finish-task" or (said and told["header"]["streaming"] == "out"):
                asked["text"] = said
                speaking = asyncio.create_task(self._task(request, socket, task, asked, fault))
        if speaking is not None:
            speaking.cancel()
            await asyncio.wait([speaking])
        return socket

    async def _task(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        task: dict[str, Any],
        asked: dict[str, Any],
        fault: Fault,
    ) -> None:
        sound = encoded(asked["text"], asked["format"], fault.rate or int(asked["sample_rate"]))
        try:
            await self._speak(socket, task, sound, fault)
        except Aborted:
            cut(request)

    async def _speak(self, socket: web.WebSocketResponse, task: dict[str, Any], sound: bytes, fault: Fault) -> None:
        if fault.garbage:
            error = {"error_code": "InternalError", "error_message": "the stand-in has had enough"}
            await socket.send_json({"header": {**task, "event": "task-failed", **error}, "payload": {}})
            return
        async with aclosing(self.sound(sound, fault)) as pieces:
            async for piece in pieces:
                await socket.send_bytes(piece)
        if fault.truncate:
            raise Aborted
        done = {"output": {"sentence": {"words": []}}, "usage": {"characters": 1}}
        await socket.send_json({"header": {**task, "event": "task-finished"}, "payload": done})


class QwenRealtime(VoiceServer):
    """Qwen's realtime synthesis. `sockets` counts those that were opened, `latest` is the last."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets = 0
        self.latest: web.WebSocketResponse | None = None

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api-ws/v1/realtime", self._serve)]

    @property
    def url(self) -> str:
        return self.base_url.replace("http", "ws") + "/api-ws/v1/realtime"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"code": "InvalidApiKey", "message": "Invalid API-key provided."}, status=401)
        if self.faults and self.faults[0].status:
            return await self.refuse(self.faults.pop(0))
        self.sockets += 1
        self.latest = socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "session.created", "session": {"id": "sess_1"}})
        session: dict[str, Any] = {"model": request.query["model"]}
        text, speaking = "", None
        async for message in socket:
            told = message.json()
            if told["type"] == "session.update":
                session |= told["session"]
                await socket.send_json({"type": "session.updated", "session": told["session"]})
            elif told["type"] == "input_text_buffer.append":
                text += told["text"]
            elif told["type"] == "input_text_buffer.commit":
                fault = self.asked({**session, "text": text})
                speaking = asyncio.create_task(self._respond(request, socket, text, fault))
                text = ""
        if speaking is not None:
            speaking.cancel()
            await asyncio.wait([speaking])
        return socket

    async def _respond(self, request: web.Request, socket: web.WebSocketResponse, text: str, fault: Fault) -> None:
        if fault.garbage:
            error = {"code": "InternalError", "message": "the stand-in has had enough"}
            await socket.send_json({"type": "error", "error": error})
            return
        await socket.send_json({"type": "response.created", "response": {"id": "resp_1"}})
        try:
            async with aclosing(self.sound(encoded(text, "pcm", 24_000), fault)) as pieces:
                async for piece in pieces:
                    delta = "%%%" if fault.malformed else base64.b64encode(piece).decode()
                    await socket.send_json({"type": "response.audio.delta", "delta": delta})
            if fault.truncate:
                raise Aborted
        except Aborted:
            cut(request)
            return
        await socket.send_json({"type": "response.done", "response": {"id": "resp_1"}})

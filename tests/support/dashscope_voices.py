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

from .voice_servers import KEY, Aborted, Fault, VoiceServer, cut, encoded, until_closed


class DashScopeVoices(VoiceServer):
    """CosyVoice and Sambert."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/api-ws/v1/inference", self._serve)]

    @property
    def url(self) -> str:
        return self.base_url.replace("http", "ws") + "/api-ws/v1/inference"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"code": "InvalidApiKey", "message": "Invalid API-key provided."}, status=401)
        fault = self.asked({})
        if fault.status:
            return await self.refuse(fault)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        try:
            await self._task(socket, fault)
        except Aborted:
            cut(request)
        return socket

    async def _task(self, socket: web.WebSocketResponse, fault: Fault) -> None:
        text, task = "", {}
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                return
            told = message.json()
            action, payload = told["header"]["action"], told["payload"]
            text += payload.get("input", {}).get("text", "")
            if action == "run-task":
                task = {"task_id": told["header"]["task_id"], "attributes": {}}
                parameters = payload["parameters"]
                voice = parameters.get("voice", payload["model"])
                self.requests[-1] |= {"model": payload["model"], "voice": voice, **parameters}
                await socket.send_json({"header": {**task, "event": "task-started"}, "payload": {}})
            if action == "finish-task" or (
                payload.get("input", {}).get("text") and told["header"]["streaming"] == "out"
            ):
                break
        self.requests[-1]["text"] = text
        sound = encoded(text, self.requests[-1]["format"], fault.rate or int(self.requests[-1]["sample_rate"]))
        await until_closed(socket, self._speak(socket, task, sound, fault))

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
    """Qwen's realtime synthesis. `sockets` counts those that were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets = 0

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
        socket = web.WebSocketResponse()
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
                    await socket.send_json({"type": "response.audio.delta", "delta": base64.b64encode(piece).decode()})
            if fault.truncate:
                raise Aborted
        except Aborted:
            cut(request)
            return
        await socket.send_json({"type": "response.done", "response": {"id": "resp_1"}})

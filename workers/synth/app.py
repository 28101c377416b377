"""The synth-server's HTTP: who may come in, the list of models, and a WebSocket for each session."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import WSCloseCode, web

from opentalking.config import Settings
from opentalking.models.remote import wire
from workers.synth.device import Device
from workers.synth.faces import Faces
from workers.synth.session import Session, refusal_of

PATH = "/v1/audio2video"
BEAT_S = 20.0  # a client that answers no ping for half of this is gone
DRAIN_S = 5.0
MAX_MESSAGE_BYTES = wire.MAX_PICTURE_BYTES * 4 // 3 + 1_000_000

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


class SynthServer:
    """Serves one model under some names."""

    def __init__(self, device: Device, faces: Faces, config: Settings) -> None:
        self._device = device
        self._faces = faces
        self._config = config
        listed = [name.strip() for name in config.synth_names.split(",") if name.strip()]
        self.names = listed or [device.adapter.model_type]
        self._sessions: dict[web.WebSocketResponse, Session] = {}
        self._stopping = False

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.add_routes([web.get(f"{PATH}/models", self._models), web.get(f"{PATH}/{{model}}", self._serve)])
        app.on_shutdown.append(self._stop)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """With a token set, every request must bring it."""
        expected = f"Bearer {self._config.synth_token}".encode()
        brought = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._config.synth_token and not hmac.compare_digest(brought, expected):
            return web.json_response({"type": "error", "message": "the key is missing or wrong"}, status=401)
        return await handler(request)

    async def _models(self, request: web.Request) -> web.Response:
        statuses = [
            {"id": name, "backend": "local", "connected": True, "reason": "local_runtime"} for name in self.names
        ]
        sessions = {"sessions": len(self._sessions), "max_sessions": self._config.synth_max_sessions}
        return web.json_response({"models": self.names, "statuses": statuses, **sessions})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["model"] not in self.names:
            known = ", ".join(self.names)
            return web.json_response({"type": "error", "message": f"no such model here; there is {known}"}, status=404)
        socket = web.WebSocketResponse(heartbeat=BEAT_S, max_msg_size=MAX_MESSAGE_BYTES, compress=False)
        await socket.prepare(request)
        if self._stopping or len(self._sessions) >= self._config.synth_max_sessions:
            why = "is stopping" if self._stopping else f"is full: it serves {len(self._sessions)} sessions"
            await self._refuse(socket, f"this server {why}", WSCloseCode.TRY_AGAIN_LATER)
            return socket
        session_id = secrets.token_hex(6)
        _log.info("session %s from %s", session_id, request.remote)
        session = self._sessions[socket] = Session(socket, self._device, self._faces, self._config)
        try:
            await session.run(session_id)
        except ConnectionError:
            _log.info("session %s: the client has gone", session_id)
        except Exception as error:
            _log.info("session %s refused: %s", session_id, type(error).__name__)
            await self._refuse(socket, refusal_of(error), WSCloseCode.POLICY_VIOLATION)
        finally:
            del self._sessions[socket]
            await socket.close()
        return socket

    async def _refuse(self, socket: web.WebSocketResponse, why: str, code: int) -> None:
        with contextlib.suppress(ConnectionError):
            await socket.send_str(wire.encode_refusal(why))
            await socket.close(code=code)

    async def _stop(self, app: web.Application) -> None:
        """Answer what was asked for, then close: clients find another server or wait for the next."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*(session.drained() for session in self._sessions.values()))
        await asyncio.gather(*(socket.close(code=WSCloseCode.GOING_AWAY) for socket in list(self._sessions)))

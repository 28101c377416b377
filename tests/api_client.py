"""The API under test: a client on a real socket, and workers reduced to what the API sees of them.

Where the worker process is not the subject, a worker is its heartbeat and its command stream, both real.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient

from opentalking.config import Settings
from opentalking.store import ROLES, Command, Store, WorkerBeat

API_SETTINGS = Settings(
    node="a",
    max_sessions=3,
    max_text_chars=50,
    max_body_bytes=2048,
    cors_origins="http://friend.test",
    llm_model="tiny",
)
INFO: dict[str, dict[str, Any]] = {
    "speech": {
        "llm": {
            "provider": "openai",
            "model": "tiny",
            "embedded": True,
            "base_url": "http://u:p@l/v1",
            "key_set": False,
        },
        "tts": {
            "piper": {"available": True, "reason": ""},
            "espeak": {"available": False, "reason": "espeak-ng is missing"},
        },
        "stt": {
            "whisper": {"available": True, "loading": False, "reason": ""},
            "dashscope": {"available": False, "loading": False, "reason": "set OPENTALKING_DASHSCOPE_API_KEY"},
        },
        "default_stt": "whisper",
        "voices": [{"provider": "piper", "voice_id": "joe", "display_label": "Joe", "language": "en-US"}],
    },
    "inference": {"models": [{"id": "portrait", "backend": "local", "connected": True, "reason": "local_runtime"}]},
    "rtc": {},
}
LIVES_S = 600.0  # a stub's heartbeat lasts longer than any test


def beat(node: str, role: str, number: int = 1, **changes: Any) -> WorkerBeat:
    fields: dict[str, Any] = {"pid": 1, "incarnation": "i", "started_at": 1.0, "capacity": 8, "info": INFO[role]}
    return WorkerBeat(worker=f"{node}:{role}-{number}", role=role, node=node, **(fields | changes))


@dataclass
class Api:
    """`post`, `get`, `delete` give (status, body)."""

    client: TestClient[web.Request, web.Application]
    store: Store

    async def start_workers(self, node: str = "a", **changes: Any) -> None:
        for role in ROLES:
            await self.store.beat(beat(node, role, **changes), LIVES_S)

    async def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.client.post(path, json=body) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.client.get(path) as response:
            return response.status, await response.json()

    async def delete(self, path: str) -> tuple[int, Any]:
        async with self.client.delete(path) as response:
            return response.status, await response.json()

    async def new_session(self, ready: bool = False, **body: Any) -> str:
        """Make a session; with `ready`, its workers have opened it."""
        status, answer = await self.post("/sessions", {"avatar_id": "presenter", **body})
        assert status == 200, answer
        session_id = str(answer["session_id"])
        if ready:
            for role in ROLES:
                await self.store.mark_ready(session_id, role)
        return session_id

    async def sent(self, worker: str, count: int) -> list[Command]:
        """The first `count` commands that a worker finds, handled."""
        found = []
        async for entry_id, command in self.store.commands(worker):
            await self.store.done(worker, entry_id)
            found.append(command)
            if len(found) == count:
                break
        return found

"""Item 1: a session has an id of the known shape and a hash of strings; every error says what."""

from __future__ import annotations

import re

import pytest

from tests.conformance.guest import Guest
from tests.conformance.server import Server

pytestmark = pytest.mark.integration

NOBODY = "sess_000000000000"
STATES = {"created", "queued", "initializing", "loading", "worker_ready", "ready", "speaking"}


async def test_a_session_has_an_id_of_the_original_shape_and_a_readable_hash(server: Server) -> None:
    async with Guest(server) as guest:
        session_id = await guest.create()
        assert re.fullmatch(r"sess_[0-9a-f]{12}", session_id)
        assert guest.created["status"] in {"created", "queued", "initializing"}
        shown = await guest.call("GET", "")
        assert all(isinstance(value, str) for value in shown.values())
        told = {name: shown[name] for name in ("session_id", "avatar_id", "model")}
        assert told == {"session_id": session_id, "avatar_id": server.avatar, "model": server.model}
        assert shown["state"] in STATES


async def test_a_session_that_nobody_has_connected_to_is_worker_ready_and_listed(server: Server) -> None:
    async with Guest(server) as guest:
        session_id = await guest.create()
        assert await guest.state() == "worker_ready"
        listed = await guest.request("GET", "/sessions", allow=(200, 404, 405))
        server.need("sessions" in listed, "GET /sessions")
        assert session_id in [one["session_id"] for one in listed["sessions"]]


async def test_start_makes_a_prepared_session_ready(server: Server) -> None:
    async with Guest(server) as guest:
        session_id = await guest.create()
        for _ in range(2):
            assert await guest.call("POST", "/start") == {"session_id": session_id, "status": "ready"}
        assert await guest.state() == "ready"


async def test_a_session_that_is_closed_stays_closed(server: Server) -> None:
    async with Guest(server) as guest:
        session_id = await guest.create()
        for _ in range(2):
            assert await guest.call("DELETE", "") == {"session_id": session_id, "status": "closed"}
        assert await guest.until_state("closed") == "closed"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/sessions", {"avatar_id": "nobody"}, 404),
        ("POST", "/sessions", {"avatar_id": "../nobody"}, 404),
        ("POST", "/sessions", {}, 422),
        ("POST", "/sessions", {"avatar_id": "{avatar}", "model": "none"}, 400),
        ("POST", "/sessions", {"avatar_id": "{avatar}", "model": "{model}", "tts_provider": "none"}, 400),
        ("POST", "/sessions", {"avatar_id": "{avatar}", "model": "{model}", "tts_voice": "none"}, 400),
        ("GET", f"/sessions/{NOBODY}", None, 404),
        ("POST", f"/sessions/{NOBODY}/start", None, 404),
        ("POST", f"/sessions/{NOBODY}/webrtc/offer", {"sdp": "v=0\r\n", "type": "offer"}, 404),
        ("POST", f"/sessions/{NOBODY}/speak", {"text": "hello"}, 404),
        ("POST", f"/sessions/{NOBODY}/chat", {"prompt": "hello"}, 404),
        ("POST", f"/sessions/{NOBODY}/interrupt", None, 404),
        ("GET", f"/sessions/{NOBODY}/events", None, 404),
        ("DELETE", f"/sessions/{NOBODY}", None, 404),
        ("GET", "/avatars/nobody", None, 404),
        ("GET", "/nothing/here", None, 404),
    ],
)
async def test_every_error_says_what_in_words(
    server: Server, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    filled = body and {name: value.format(avatar=server.avatar, model=server.model) for name, value in body.items()}
    async with Guest(server) as guest:
        answer = await guest.request(method, path, filled, allow=(status,))
        assert answer["detail"]
        if server.strict:
            assert answer.keys() == {"detail", "code"}
            assert all(answer.values())


async def test_an_error_has_a_code_beside_its_words(server: Server) -> None:
    async with Guest(server) as guest:
        answer = await guest.request("GET", f"/sessions/{NOBODY}", allow=(404,))
        server.need(answer.get("code"), "a code beside the words of an error")


async def test_what_can_be_chosen_is_listed_in_the_original_s_words(server: Server) -> None:
    async with Guest(server) as guest:
        models = await guest.request("GET", "/models")
        assert models["models"] == [one["id"] for one in models["statuses"]]
        assert all({"id", "backend", "connected", "reason"} <= one.keys() for one in models["statuses"])
        assert models["default_model"] in {"", *models["models"]}
        avatar = await guest.request("GET", f"/avatars/{server.avatar}")
        assert {"id", "name", "model_type", "width", "height", "person_mode", "is_custom"} <= avatar.keys()
        assert avatar in await guest.request("GET", "/avatars")
        async with guest.http.get(f"{guest.base}/avatars/{server.avatar}/preview") as preview:
            assert (preview.status, preview.content_type) == (200, "image/png")
            assert (await preview.read()).startswith(b"\x89PNG")
        voices = await guest.request("GET", "/voices")
        assert all({"id", "provider", "voice_id", "display_label"} <= one.keys() for one in voices["items"])


async def test_how_the_server_is_is_told_in_the_original_s_words(server: Server) -> None:
    async with Guest(server) as guest:
        assert (await guest.request("GET", "/healthz"))["status"] == "ok"
        for path in ("/health", "/runtime/status"):
            assert (await guest.request("GET", path))["status"] == "ok"
        queue = await guest.request("GET", "/queue/status")
        assert (type(queue["slot_occupied"]), type(queue["queue_size"])) == (bool, int)

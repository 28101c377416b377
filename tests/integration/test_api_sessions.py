"""Making, seeing and ending sessions over HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from opentalking.models.registry import list_models
from opentalking.store import ROLES, Close, Open
from tests.api_client import API_SETTINGS, LIVES_S, Api, beat

WORKERS = [f"a:{role}-1" for role in ROLES]
AVATARS = "drawn, ingrid, presenter, samuel"
MODELS = ", ".join(list_models(API_SETTINGS))


async def test_a_session_is_made_placed_and_opened_by_its_three_workers(api: Api) -> None:
    status, answer = await api.post("/sessions", {"avatar_id": "presenter", "tts_voice": "joe", "user_id": "u1"})
    assert (status, answer["status"]) == (200, "created")
    session_id = answer["session_id"]
    assert re.fullmatch(r"sess_[0-9a-f]{12}", session_id)
    for worker in WORKERS:
        assert await api.sent(worker, 1) == [Open(session_id)]
    _, raw = await api.get(f"/sessions/{session_id}")
    assert raw.pop("history") == "[]"
    assert all(isinstance(value, str) for value in raw.values())
    expected = {"state": "created", "avatar_id": "presenter", "model": "portrait", "width": "512", "fps": "25"}
    expected |= {"tts_voice": "joe", "user_id": "u1", "node": "a", "rtc_worker": "a:rtc-1", "generation": "0"}
    assert {name: raw[name] for name in expected} == expected


async def test_the_api_is_also_under_its_prefix(api: Api) -> None:
    session_id = await api.new_session()
    assert (await api.get(f"/api/sessions/{session_id}"))[1] == (await api.get(f"/sessions/{session_id}"))[1]


async def test_agent_extras_and_unknown_fields_are_accepted_and_ignored(api: Api) -> None:
    extras = {"persona_id": "p", "agent_enabled": True, "knowledge_base_ids": ["k"], "from_the_future": {"a": 1}}
    session_id = await api.new_session(**extras)
    assert not set(extras) & set((await api.get(f"/sessions/{session_id}"))[1])


async def test_null_for_an_optional_field_is_the_same_as_leaving_it_out(api: Api) -> None:
    await api.new_session(model=None, tts_voice=None, llm_system_prompt=None)


@pytest.mark.parametrize(
    ("body", "status", "code", "detail"),
    [
        ({"avatar_id": "nobody"}, 404, "avatar_not_found", f"avatar_id: no avatar 'nobody'; known: {AVATARS}"),
        ({"avatar_id": "../etc"}, 404, "avatar_not_found", f"avatar_id: no avatar '../etc'; known: {AVATARS}"),
        ({"avatar_id": "presenter", "model": "wax"}, 400, "unknown_model", f"model: no model 'wax'; known: {MODELS}"),
        (
            {"avatar_id": "presenter", "tts_provider": "parrot"},
            400,
            "unknown_tts_provider",
            "tts_provider: no 'parrot'; known: piper, espeak",
        ),
        (
            {"avatar_id": "presenter", "tts_provider": "espeak"},
            400,
            "tts_unavailable",
            "tts_provider: espeak cannot be used: espeak-ng is missing",
        ),
        (
            {"avatar_id": "presenter", "stt_provider": "parrot"},
            400,
            "unknown_stt_provider",
            "stt_provider: no 'parrot'; known: whisper, dashscope",
        ),
        (
            {"avatar_id": "presenter", "stt_provider": "dashscope"},
            400,
            "stt_unavailable",
            "stt_provider: recogniser dashscope cannot be used: set OPENTALKING_DASHSCOPE_API_KEY",
        ),
        ({"avatar_id": "presenter", "tts_voice": "ann"}, 400, "unknown_voice", "voice: no 'ann'; known: joe"),
        ({}, 422, "invalid_field", "avatar_id: required"),
        ({"avatar_id": 5}, 422, "invalid_field", "avatar_id: Expected `str`, got `int`"),
        ({"avatar_id": ""}, 422, "invalid_field", "avatar_id: Expected `str` of length >= 1"),
        ({"avatar_id": "presenter", "model": []}, 422, "invalid_field", "model: Expected `str | null`, got `array`"),
        (
            {"avatar_id": "presenter", "user_id": "a b"},
            422,
            "invalid_field",
            "user_id: Expected `str` matching regex '^\\\\S*$'",
        ),
        ([], 422, "invalid_field", "body: Expected `object`, got `array`"),
    ],
)
async def test_what_cannot_be_made_is_refused_by_name(api: Api, body: Any, status: int, code: str, detail: str) -> None:
    assert await api.post("/sessions", body) == (status, {"detail": detail, "code": code})
    assert await api.store.list_sessions() == []


async def test_a_model_that_no_worker_can_serve_is_refused_with_the_reason(api: Api) -> None:
    info = {"models": [{"id": "portrait", "backend": "local", "connected": False, "reason": "weights are missing"}]}
    await api.store.beat(beat("a", "inference", info=info), LIVES_S)
    status, answer = await api.post("/sessions", {"avatar_id": "presenter"})
    expected = {"detail": "model: portrait cannot be used: weights are missing", "code": "model_unavailable"}
    assert (status, answer) == (400, expected)


async def test_while_the_models_load_a_client_is_told_to_ask_again(api: Api) -> None:
    info = {"ready": False, "models": [{"id": "portrait", "connected": False, "reason": "loading"}]}
    await api.store.beat(beat("a", "inference", info=info), LIVES_S)
    status, answer = await api.post("/sessions", {"avatar_id": "presenter"})
    assert (status, answer) == (503, {"detail": "no inference worker is ready", "code": "no_workers"})
    assert (await api.get("/health"))[1]["ready"] is False


async def test_without_a_worker_of_each_kind_nobody_is_let_in(api: Api) -> None:
    await api.store.forget_worker("a:rtc-1")
    async with api.client.post("/sessions", json={"avatar_id": "presenter"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert await response.json() == {"detail": "no rtc worker is ready", "code": "no_workers"}


async def test_many_at_once_fill_a_node_exactly_and_the_rest_are_told_when_to_ask_again(api: Api) -> None:
    answers = await asyncio.gather(*(api.post("/sessions", {"avatar_id": "drawn"}) for _ in range(6)))
    assert sorted(status for status, _ in answers) == [200, 200, 200, 503, 503, 503]
    assert {answer["code"] for status, answer in answers if status == 503} == {"at_capacity"}
    assert (await api.get("/queue/status"))[1] == {"slot_occupied": True, "queue_size": 0}


async def test_room_is_found_again_when_a_session_ends(api: Api) -> None:
    sessions = [await api.new_session() for _ in range(3)]
    await api.delete(f"/sessions/{sessions[0]}")
    await api.new_session()


async def test_live_sessions_are_listed_as_their_hashes(api: Api) -> None:
    first, second = await api.new_session(), await api.new_session()
    await api.delete(f"/sessions/{first}")
    status, answer = await api.get("/sessions")
    assert status == 200
    _, shown = await api.get(f"/sessions/{second}")
    assert shown.pop("history") == "[]"
    assert answer == {"sessions": [shown]}


async def test_start_waits_for_the_workers_and_then_says_ready(api: Api) -> None:
    session_id = await api.new_session()
    detail = f"session {session_id} is still being prepared"
    assert await api.post(f"/sessions/{session_id}/start") == (409, {"detail": detail, "code": "not_ready"})
    for role in ROLES:
        await api.store.mark_ready(session_id, role)
    ready = {"session_id": session_id, "status": "ready"}
    assert await api.post(f"/sessions/{session_id}/start") == (200, ready)
    assert (await api.get(f"/sessions/{session_id}"))[1]["state"] == "ready"
    await api.store.set_state(session_id, "speaking")
    assert await api.post(f"/sessions/{session_id}/start") == (200, ready)
    assert (await api.get(f"/sessions/{session_id}"))[1]["state"] == "speaking"


async def test_closing_silences_the_session_tells_its_workers_and_can_be_repeated(api: Api) -> None:
    session_id = await api.new_session()
    closed = {"session_id": session_id, "status": "closed"}
    assert await api.delete(f"/sessions/{session_id}") == (200, closed)
    for worker in WORKERS:
        assert await api.sent(worker, 2) == [Open(session_id), Close(session_id, "client")]
    _, raw = await api.get(f"/sessions/{session_id}")
    assert (raw["state"], raw["ended_reason"], raw["generation"]) == ("closed", "client", "1")
    assert await api.delete(f"/sessions/{session_id}") == (200, closed)


@pytest.mark.parametrize("rest", ["start", "speak", "chat", "interrupt", "webrtc/offer"])
async def test_a_session_that_ended_refuses_with_its_reason(api: Api, rest: str) -> None:
    session_id = await api.new_session()
    await api.store.end_session(session_id, "error", "worker_lost:rtc")
    body = {"text": "Hello.", "sdp": "v=0\r\n", "type": "offer"}
    detail = f"session {session_id} is error (worker_lost:rtc)"
    assert await api.post(f"/sessions/{session_id}/{rest}", body) == (409, {"detail": detail, "code": "session_ended"})

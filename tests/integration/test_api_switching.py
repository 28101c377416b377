"""Asking for another avatar over HTTP: what is passed on to the worker, and what is refused before."""

from __future__ import annotations

from typing import Any

import pytest

from opentalking.store import Open, SwitchAvatar
from tests.api_client import INFO, LIVES_S, Api, beat

INFERENCE = "a:inference-1"


async def test_each_switch_is_numbered_and_sent_to_the_sessions_own_worker(api: Api) -> None:
    session_id = await api.new_session(ready=True)
    for _ in range(2):
        answer = await api.post(f"/sessions/{session_id}/avatar", {"avatar_id": "drawn"})
        assert answer == (200, {"session_id": session_id, "status": "switching"})
    sent = await api.sent(INFERENCE, 3)
    assert sent[0] == Open(session_id)
    assert sent[1:] == [SwitchAvatar(session_id, face, "drawn", "portrait") for face in (1, 2)]
    assert (await api.get(f"/sessions/{session_id}"))[1]["avatar_id"] == "presenter"  # until a worker says otherwise


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"avatar_id": "nobody"}, 404, "avatar_not_found"),
        ({"avatar_id": "../drawn"}, 404, "avatar_not_found"),
        ({"avatar_id": "drawn", "model": "wax"}, 400, "unknown_model"),
        ({}, 422, "invalid_field"),
    ],
)
async def test_what_cannot_be_shown_is_refused(api: Api, body: dict[str, Any], status: int, code: str) -> None:
    session_id = await api.new_session(ready=True)
    answered, problem = await api.post(f"/sessions/{session_id}/avatar", body)
    assert (answered, problem["code"]) == (status, code)


async def test_a_model_that_the_sessions_worker_does_not_serve_is_refused_with_the_reason(api: Api) -> None:
    session_id = await api.new_session(ready=True)
    models = [*INFO["inference"]["models"], {"id": "wax", "backend": "local", "connected": False, "reason": "melted"}]
    other = [
        *INFO["inference"]["models"],
        {"id": "wax", "backend": "local", "connected": True, "reason": "local_runtime"},
    ]
    await api.store.beat(beat("a", "inference", info={"models": models}), LIVES_S)
    await api.store.beat(beat("a", "inference", number=2, info={"models": other}), LIVES_S)
    status, problem = await api.post(f"/sessions/{session_id}/avatar", {"avatar_id": "drawn", "model": "wax"})
    assert (status, problem["code"]) == (400, "model_unavailable")
    assert "melted" in problem["detail"]


async def test_a_model_that_serves_as_many_sessions_as_it_can_gets_no_more_by_switching(api: Api) -> None:
    plain = {"id": "portrait", "connected": True}
    full = {"id": "wav2lip", "backend": "local", "connected": True, "max_sessions": 1}
    await api.store.beat(beat("a", "inference", info={"models": [plain, full]}), LIVES_S)
    first = await api.new_session(ready=True, model="wav2lip")
    second = await api.new_session(ready=True)
    body = {"avatar_id": "drawn", "model": "wav2lip"}
    status, answer = await api.post(f"/sessions/{second}/avatar", body)
    assert (status, answer["code"]) == (503, "at_capacity")
    assert (await api.post(f"/sessions/{first}/avatar", body))[0] == 200  # it has its place already


async def test_a_session_that_is_not_there_not_ready_or_over_has_no_other_face(api: Api) -> None:
    body = {"avatar_id": "drawn"}
    assert (await api.post("/sessions/sess_0/avatar", body))[0] == 404
    session_id = await api.new_session()
    status, problem = await api.post(f"/sessions/{session_id}/avatar", body)
    assert (status, problem["code"]) == (409, "not_ready")
    await api.delete(f"/sessions/{session_id}")
    status, problem = await api.post(f"/sessions/{session_id}/avatar", body)
    assert (status, problem["code"]) == (409, "session_ended")

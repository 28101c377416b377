"""The browser's own figures over HTTP: taken for the turn in progress and the last one, refused in words otherwise."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from opentalking.llm.conversation import Entry
from opentalking.store import Open, Seen
from tests.api_client import Api


async def test_the_clock_is_the_servers(api: Api) -> None:
    before = time.time()
    status, answer = await api.get("/clock")
    assert status == 200
    assert before <= answer["now"] <= time.time()


async def speaking(api: Api, generation: int = 3, began_at: float | None = None) -> str:
    """A session with a turn in progress."""
    session_id = await api.new_session()
    await api.store.set_turn(session_id, generation, time.time() - 2 if began_at is None else began_at)
    return session_id


async def test_what_was_heard_and_seen_of_a_turn_goes_to_its_speech_worker(api: Api) -> None:
    session_id, now = await speaking(api), time.time()
    body = {"first_sound_at": now, "first_frame_at": now - 0.01, "jitter_buffer_ms": 40}
    answer = {"session_id": session_id, "status": "noted", "generation": 3}
    assert await api.post(f"/sessions/{session_id}/turns/3/seen", body) == (200, answer)
    assert await api.post(f"/api/sessions/{session_id}/turns/3/seen", {"first_sound_at": now}) == (200, answer)
    _, whole, sound_alone = await api.sent("a:speech-1", 3)
    assert whole == Seen(session_id, 3, now, now - 0.01, 40)
    assert sound_alone == Seen(session_id, 3, now, None, None)


@pytest.mark.parametrize("zero", [{"accepted_at": -2.0}, {"accepted_at": 0.0, "speech_ended_at": -2.0}])
async def test_a_turn_that_was_over_last_can_still_be_reported(api: Api, zero: dict[str, float]) -> None:
    session_id, now = await api.new_session(), time.time()
    times = {name: now + seconds for name, seconds in zero.items()}
    await api.store.set_last_turn(session_id, {"generation": 3, "kind": "chat", **times})
    path = f"/sessions/{session_id}/turns/3/seen"
    assert (await api.post(path, {"first_sound_at": now - 1.9}))[0] == 200
    assert (await api.post(path, {"first_sound_at": now - 2.1}))[0] == 422
    await api.store.set_turn(session_id, 4, now)  # the next one is being thought of
    assert (await api.post(path, {"first_sound_at": now - 1.9}))[0] == 200


async def test_a_turn_before_the_last_one_is_over_for_good(api: Api) -> None:
    session_id = await speaking(api, 5)
    status, problem = await api.post(f"/sessions/{session_id}/turns/4/seen", {"first_sound_at": time.time()})
    assert (status, problem["code"]) == (409, "turn_over")
    assert problem["detail"] == f"turn 4 of session {session_id} is not recorded any more"


@pytest.mark.parametrize("generation", ["0", "6", "9" * 15, "9" * 400])
async def test_there_is_no_turn_of_such_a_number(api: Api, generation: str) -> None:
    session_id = await speaking(api, 5)
    status, problem = await api.post(f"/sessions/{session_id}/turns/{generation}/seen", {"first_sound_at": time.time()})
    assert (status, problem["code"]) == (404, "turn_not_found")


async def test_a_turn_that_its_process_took_with_it_has_no_trace_to_add_to(api: Api) -> None:
    session_id = await api.new_session()
    await api.store.set_last_turn(session_id, {"generation": 3, "outcome": "lost"})
    body = {"first_sound_at": time.time()}
    assert (await api.post(f"/sessions/{session_id}/turns/3/seen", body))[1]["code"] == "turn_over"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "first_sound_at: required, or first_frame_at"),
        ({"jitter_buffer_ms": 40}, "first_sound_at: required, or first_frame_at"),
        ({"first_sound_at": 1e300}, "first_sound_at: 1"),
        ({"first_sound_at": 0}, "first_sound_at: 0.000 is not within 60 s of now"),
        ({"first_frame_at": -61}, "first_frame_at:"),
        ({"first_frame_at": 61}, "first_frame_at:"),
        ({"first_frame_at": -40}, "first_frame_at: 3"),  # some 38 s before the turn began
        ({"first_sound_at": "soon"}, "first_sound_at: Expected `float | null`, got `str`"),
        ({"first_sound_at": -1, "jitter_buffer_ms": -1}, "jitter_buffer_ms: Expected `float` >= 0.0"),
    ],
)
async def test_a_moment_that_cannot_be_is_refused_with_its_name(api: Api, body: dict[str, Any], detail: str) -> None:
    session_id, now = await speaking(api), time.time()
    for name, value in body.items():
        if name.endswith("_at") and isinstance(value, int) and value:
            body = {**body, name: now + value}
    status, problem = await api.post(f"/sessions/{session_id}/turns/3/seen", body)
    assert (status, problem["code"]) == (422, "invalid_field")
    assert problem["detail"].startswith(detail)


async def test_a_refused_report_reaches_no_worker(api: Api) -> None:
    session_id = await speaking(api)
    await api.post(f"/sessions/{session_id}/turns/3/seen", {"first_sound_at": 0})
    await api.post(f"/sessions/{session_id}/turns/9/seen", {"first_sound_at": time.time()})
    await api.delete(f"/sessions/{session_id}")
    first, second = await api.sent("a:speech-1", 2)
    assert first == Open(session_id)
    assert not isinstance(second, Seen)


async def test_a_closing_session_takes_no_report(api: Api) -> None:
    session_id = await speaking(api)
    await api.store.set_state(session_id, "closing")
    status, problem = await api.post(f"/sessions/{session_id}/turns/3/seen", {"first_sound_at": time.time()})
    assert (status, problem["code"]) == (409, "session_ended")


async def test_a_session_is_shown_with_its_conversation_as_heard(api: Api) -> None:
    session_id = await api.new_session()
    assert (await api.get(f"/sessions/{session_id}"))[1]["history"] == "[]"
    await api.store.keep_history(session_id, [Entry("user", "Who?"), Entry("assistant", "A face", interrupted=True)])
    assert msgspec.json.decode((await api.get(f"/sessions/{session_id}"))[1]["history"]) == [
        {"role": "user", "content": "Who?", "interrupted": False},
        {"role": "assistant", "content": "A face", "interrupted": True},
    ]
    _, document = await api.get("/openapi.json")
    shown = document["paths"]["/sessions/{session_id}"]["get"]["responses"]["200"]["content"]["application/json"]
    schema = document["components"]["schemas"][shown["schema"]["$ref"].rpartition("/")[2]]
    assert schema["properties"]["history"] == {"type": "string"}
    assert "history" in schema["required"]

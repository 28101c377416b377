"""Another voice for a live session: kept, passed on or refused, and heard, also after a crash."""

from __future__ import annotations

from typing import Any

import pytest

from opentalking.store import ChooseVoice, Open
from tests.api_client import Api
from tests.integration.crashing import worker_of
from tests.support.client import Client
from tests.support.node import Node

SPEECH = "a:speech-1"


async def test_a_choice_is_kept_in_the_hash_and_the_sessions_own_worker_told(api: Api) -> None:
    session_id = await api.new_session(ready=True)
    body = {"tts_provider": "piper", "tts_voice": "joe", "tts_model": "m"}
    assert await api.post(f"/sessions/{session_id}/voice", body) == (
        200,
        {"session_id": session_id, "status": "ready"},
    )
    assert (await api.get(f"/sessions/{session_id}"))[1].items() >= body.items()
    assert await api.sent(SPEECH, 2) == [Open(session_id), ChooseVoice(session_id)]
    await api.post(f"/sessions/{session_id}/voice", {})
    hash_now = (await api.get(f"/sessions/{session_id}"))[1]
    assert [hash_now[name] for name in body] == ["", "", ""]  # the server's choice again


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"tts_provider": "parrot"}, 400, "unknown_tts_provider"),
        ({"tts_provider": "espeak"}, 400, "tts_unavailable"),
        ({"tts_provider": "piper", "tts_voice": "nobody"}, 400, "unknown_voice"),
        ({"tts_provider": ""}, 422, "invalid_field"),
    ],
)
async def test_what_cannot_be_spoken_with_is_refused_and_changes_nothing(
    api: Api, body: dict[str, Any], status: int, code: str
) -> None:
    session_id = await api.new_session(ready=True, tts_voice="joe")
    answered, problem = await api.post(f"/sessions/{session_id}/voice", body)
    assert (answered, problem["code"]) == (status, code)
    assert (await api.get(f"/sessions/{session_id}"))[1]["tts_voice"] == "joe"


async def test_whichever_has_its_key_is_the_servers_choice(api: Api) -> None:
    session_id = await api.new_session(ready=True, tts_provider="auto")
    assert "tts_provider" not in (await api.get(f"/sessions/{session_id}"))[1]
    await api.post(f"/sessions/{session_id}/voice", {"tts_provider": "piper"})
    assert (await api.post(f"/sessions/{session_id}/voice", {"tts_provider": "auto"}))[0] == 200
    assert (await api.get(f"/sessions/{session_id}"))[1]["tts_provider"] == ""


async def test_a_session_that_is_not_there_or_over_has_no_other_voice(api: Api) -> None:
    assert (await api.post("/sessions/sess_0/voice", {"tts_provider": "piper"}))[0] == 404
    session_id = await api.new_session(ready=True)
    await api.delete(f"/sessions/{session_id}")
    status, problem = await api.post(f"/sessions/{session_id}/voice", {"tts_provider": "piper"})
    assert (status, problem["code"]) == (409, "session_ended")


async def spoken_by(client: Client, text: str) -> tuple[str, str]:
    """Engine and voice of a new turn."""
    turn = await client.call("POST", "/speak", {"text": text})
    generation = turn["generation"]
    started = await client.events.wait(
        "tts", lambda data: data["generation"] == generation and data["stage"] == "start"
    )
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == generation)
    assert (ended["text"], ended["interrupted"]) == (text, False)
    return started["provider"], started["voice"]


@pytest.mark.integration
async def test_a_real_node_speaks_with_it_from_the_next_turn_on_and_after_a_crash(node: Node, client: Client) -> None:
    assert await spoken_by(client, "One.") == ("tone", "")
    await client.call("POST", "/voice", {"tts_provider": "espeak", "tts_voice": "de"})
    assert await spoken_by(client, "Two.") == ("espeak", "de")
    node.processes()[await worker_of(client, "speech")].kill()
    assert await spoken_by(client, "Three.") == ("espeak", "de")
    await client.call("POST", "/voice", {})
    assert await spoken_by(client, "Four.") == ("tone", "")

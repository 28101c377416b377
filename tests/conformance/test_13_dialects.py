"""Clients of the original and of its documents: paths with and without /api, the real events and those documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.guest import Guest
from tests.conformance.server import Server
from tests.integration.tones import is_silent
from tests.support.llm_server import LLMServer

pytestmark = pytest.mark.integration

ORDER = ["status:thinking", "tts:start", "tts:first_audio", "status:idle"]


@pytest.fixture(params=["", "/api"])
def prefix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_one_session_as_the_original_s_web_client_drives_it(server: Server, prefix: str) -> None:
    async with Guest(server, prefix) as guest:
        async with guest.http.get(f"{guest.base}/health") as response:
            server.need(response.status == 200, f"paths under {prefix or '/'}")
            health = await response.json()
        voice = await a_voice(guest, health)
        await guest.create(**voice, agent_enabled=True, memory_enabled=False, knowledge_base_ids=[])
        assert (await guest.call("GET", "")).items() >= voice.items()
        offer = {"sdp": await guest.receiver.offer(), "type": "offer"}
        answer = await guest.call("POST", "/webrtc/offer", offer)
        await guest.receiver.accept(answer["sdp"])
        assert (await guest.call("POST", "/start"))["status"] == "ready"
        turn = await guest.speak("[440] Hello there.", **voice)
        assert turn.answer["status"] == "queued"
        assert "subtitle.chunk" in [name for name, _ in await guest.ended(turn)]
        assert not is_silent(guest.receiver.samples())
        assert (await guest.call("POST", "/interrupt"))["status"] == "interrupted"
        closed = await guest.call("DELETE", "")
        assert closed == {"session_id": guest.session_id, "status": "closed"}


async def a_voice(guest: Guest, health: dict[str, Any]) -> dict[str, str]:
    """The session's default voice, by name, if the server lists any."""
    items = (await guest.request("GET", "/voices"))["items"]
    ready = [name for name, one in (health.get("tts") or {}).items() if isinstance(one, dict) and one.get("available")]
    chosen = next((one for one in items if one["provider"] in ready), None)
    return {"tts_provider": chosen["provider"], "tts_voice": chosen["voice_id"]} if chosen else {}


def stages(told: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """`event:stage` of the documented events, `event` of those without a stage."""
    names = ("transcript", "llm", "tts", "frame", "status")
    return [f"{event}:{data['stage']}" if "stage" in data else event for _, event, data in told if event in names]


async def documented(guest: Guest, started: int) -> list[tuple[str, str, dict[str, Any]]]:
    """The turn's events to status:idle; not offered if the server tells no status at all."""
    guest.server.need("status" in guest.events.names(), "the documented events (status, llm, tts, frame)")
    end = await guest.events.find("status", lambda data: data["stage"] == "idle", started)
    return guest.events.seen[started : end + 1]


async def test_a_spoken_text_is_told_in_the_documented_words_and_order(guest: Guest) -> None:
    turn = await guest.speak("[440] Hello there. [440] This takes long enough for a frame.")
    await guest.ended(turn)
    told = await documented(guest, turn.started)
    found = stages(told)
    assert sorted(ORDER, key=found.index) == ORDER
    assert found[-1] == "status:idle"
    assert "llm" not in found
    frames = [data for _, event, data in told if event == "frame"]
    assert frames and all({"frame_idx", "pts_ms"} <= data.keys() for data in frames)
    assert [data["frame_idx"] for data in frames] == sorted({data["frame_idx"] for data in frames})
    assert all(data["ms_elapsed"] >= 0 for _, event, data in told if event == "tts")
    spoken = [data["sentence_index"] for _, event, data in told if event == "tts" and data["stage"] == "start"]
    assert spoken == [0, 1]


async def test_an_answer_is_told_in_the_documented_words_and_order(guest: Guest, llm: LLMServer) -> None:
    llm.reply = "[440] This is the answer."
    turn = await guest.chat("What is it?")
    await guest.ended(turn)
    told = await documented(guest, turn.started)
    found = stages(told)
    order = [ORDER[0], "llm", *ORDER[1:]]
    assert sorted(order, key=found.index) == order
    assert "".join(data["delta"] for _, event, data in told if event == "llm").strip() == llm.reply
    message = next(data for _, event, data in told if event == "assistant.message")
    assert message["text"] == llm.reply


async def test_an_interrupted_turn_says_so_in_the_documented_words(guest: Guest) -> None:
    turn = await guest.speak("[440] This is a long sentence which somebody will not let end in peace.")
    await guest.told(turn, "speech.media_started")
    await guest.call("POST", "/interrupt")
    await guest.ended(turn)
    guest.server.need("status" in guest.events.names(), "the documented events (status, llm, tts, frame)")
    await guest.events.find("status", lambda data: data["stage"] == "interrupted", turn.started)


async def test_the_end_of_a_session_is_told_in_the_documented_word(server: Server) -> None:
    async with Guest(server) as guest:
        await guest.create()
        await guest.call("DELETE", "")
        try:
            await guest.events.wait("session.terminated", timeout_s=10)
        except TimeoutError:
            server.need(False, "session.terminated")

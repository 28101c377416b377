"""Item 10: a spoken utterance becomes a turn, by socket or by file; what is wrong has its close code or status."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.conformance.guest import Guest
from tests.conformance.microphone import (
    DOCUMENTED,
    ORIGINAL,
    SPOKEN,
    WORD,
    Dialect,
    Heard,
    question,
    say,
    say_raw,
    silence,
)
from tests.conformance.server import Server, not_offered
from tests.integration.tones import spoken
from tests.support.llm_server import LLMServer

pytestmark = pytest.mark.integration

LARGEST_FILE = 15_000_000  # bytes
DIALECTS = pytest.mark.parametrize("dialect", [ORIGINAL, DOCUMENTED], ids=["original", "documented"])


@pytest.fixture(autouse=True)
async def answering(server: Server) -> AsyncIterator[LLMServer | None]:
    """A server that says it recognises speech must; one that does not say so is not asked."""
    await server.recognisers_loaded()
    if not server.recognisers:
        not_offered("speech recognition (GET /health names no stt provider that is ready)")
    if server.llm_port is None:
        yield None
        return
    async with LLMServer(port=server.llm_port, host=server.llm_host, reply="It rains.") as model:
        yield model


@pytest.fixture
async def speaker(server: Server) -> AsyncIterator[Guest]:
    """A user whose session is prepared; nobody listens yet."""
    async with Guest(server) as user:
        await user.create()
        yield user


def must_be_refused(heard: Heard, dialect: Dialect, code: int) -> None:
    """By one JSON in the dialect's words, and the close code."""
    assert heard.code == code
    if dialect is ORIGINAL:
        assert len(heard.answers) == 1
        assert heard.result["error"]
    else:
        assert heard.result["type"] == "error"
        assert heard.result["code"] and heard.result["message"]


@DIALECTS
async def test_an_utterance_is_answered_by_one_json_and_becomes_a_turn(speaker: Guest, dialect: Dialect) -> None:
    heard = await say(speaker, dialect, question())
    assert (heard.result["session_id"], heard.result["status"]) == (speaker.session_id, "queued")
    assert WORD in heard.result["text"].lower()
    assert len(heard.answers) == 1 or dialect is DOCUMENTED
    started = await speaker.events.wait("speech.started")
    assert started["text"] == heard.result["text"]


async def test_the_pcm_may_come_in_pieces_of_any_size(speaker: Guest) -> None:
    heard = await say(speaker, ORIGINAL, question(), piece=333)
    assert WORD in heard.result["text"].lower()


async def test_who_goes_away_has_ended_the_utterance(speaker: Guest) -> None:
    await say(speaker, ORIGINAL, question(), leave=True)
    started = await speaker.events.wait("speech.started")
    assert WORD in started["text"].lower()


async def test_the_transcript_is_told_before_the_answer_is_thought_of(speaker: Guest) -> None:
    heard = await say(speaker, ORIGINAL, question())
    await speaker.events.wait("speech.started")
    names = speaker.events.names()
    speaker.server.need("transcript" in names, "the documented event transcript")
    told = await speaker.events.wait("transcript", lambda data: data["is_final"])
    *partial, last = [data["is_final"] for _, name, data in speaker.events.seen if name == "transcript"]
    assert last is True and not any(partial)
    assert told["text"] == heard.result["text"]
    await speaker.events.wait("status", lambda data: data["stage"] == "thinking")
    order = [f"{event}:{data.get('stage')}" for _, event, data in speaker.events.seen]
    assert order.index("transcript:None") < order.index("status:thinking")


@pytest.mark.parametrize(
    "first", [b"\0\0", "hello", "[]", "{}", '{"type": "end"}', '{"type": "meta", "stt_provider": "none"}']
)
async def test_a_bad_first_frame_closes_with_4400(speaker: Guest, first: str | bytes) -> None:
    must_be_refused(await say_raw(speaker, [first]), ORIGINAL, 4400)


async def test_an_unknown_session_closes_with_4004(server: Server) -> None:
    async with Guest(server) as stranger:
        stranger.session_id = "sess_000000000000"
        try:
            must_be_refused(await say_raw(stranger, []), ORIGINAL, 4004)
        finally:
            stranger.session_id = ""


@DIALECTS
@pytest.mark.parametrize("pcm", [b"", silence(1000)], ids=["nothing", "silence"])
async def test_empty_speech_closes_with_4400_and_begins_no_turn(speaker: Guest, dialect: Dialect, pcm: bytes) -> None:
    must_be_refused(await say(speaker, dialect, pcm), dialect, 4400)
    assert "speech.started" not in speaker.events.names()


async def test_the_documented_socket_interrupts(guest: Guest) -> None:
    turn = await guest.speak(spoken(440))
    await guest.told(turn, "speech.media_started")
    frames = [json.dumps({"type": kind}) for kind in ("config", "interrupt")]
    await say_raw(guest, frames, leave=True)
    assert (await guest.ended(turn))[-1][1].get("interrupted", True) is True
    assert await guest.until_state("ready", "error") == "ready"


async def upload(guest: Guest, action: str, content: bytes, status: int, session_id: str = "") -> dict[str, str]:
    form = aiohttp.FormData()
    form.add_field("file", content, filename="question.wav", content_type="audio/wav")
    url = f"{guest.base}/sessions/{session_id or guest.session_id}{action}"
    async with guest.http.post(url, data=form) as response:
        assert response.status == status, await response.text()
        answer: dict[str, str] = await response.json()
        return answer


async def test_a_file_is_transcribed_and_nothing_is_said(speaker: Guest) -> None:
    answer = await upload(speaker, "/transcribe", SPOKEN.read_bytes(), 200)
    assert answer.keys() == {"session_id", "text"}
    assert answer["session_id"] == speaker.session_id
    assert WORD in answer["text"].lower()
    await speaker.call("GET", "")
    assert "speech.started" not in speaker.events.names()


async def test_a_spoken_file_becomes_a_turn(speaker: Guest) -> None:
    answer = await upload(speaker, "/speak_audio", SPOKEN.read_bytes(), 200)
    assert (answer["session_id"], answer["status"]) == (speaker.session_id, "queued")
    assert (await speaker.events.wait("speech.started"))["text"] == answer["text"]
    assert WORD in answer["text"].lower()


@pytest.mark.parametrize("action", ["/transcribe", "/speak_audio"])
async def test_a_file_that_is_empty_too_large_or_of_nobody_is_refused(speaker: Guest, action: str) -> None:
    assert (await upload(speaker, action, b"", 400))["detail"]
    assert (await upload(speaker, action, bytes(LARGEST_FILE * 11 // 10), 413))["detail"]
    assert (await upload(speaker, action, SPOKEN.read_bytes(), 404, "sess_000000000000"))["detail"]
    assert "speech.started" not in speaker.events.names()

"""Item 3: a turn is told from speech.started to speech.ended, and its state goes speaking and back to ready."""

from __future__ import annotations

import pytest

from tests.conformance.guest import Guest
from tests.conformance.server import Server
from tests.integration.tones import duration_ms, is_silent
from tests.support.client import Receiver

pytestmark = pytest.mark.integration

TEXT = "[440] Hello there. [440] All of this is said."


async def test_speak_is_told_in_order_from_started_to_ended(guest: Guest) -> None:
    turn = await guest.speak("Hello there. All of this is said.")
    assert (turn.answer["session_id"], turn.answer["status"]) == (guest.session_id, "queued")
    names = [name for name, _ in await guest.ended(turn)]
    assert {"speech.started", "speech.media_started", "subtitle.chunk", "speech.ended"} <= set(names)
    assert names[0] == "speech.started"
    first = min(names.index("subtitle.chunk"), names.index("speech.media_started"))  # these two in either order
    assert 0 < first < len(names) - 1
    assert not is_silent(guest.receiver.samples())
    assert await guest.until_state("ready", "error") == "ready"


async def test_every_event_of_a_turn_has_the_original_s_fields(guest: Guest) -> None:
    told = await guest.ended(await guest.speak("Hello there. All of this is said."))
    assert all(data["session_id"] == guest.session_id for _, data in told)
    assert all(isinstance(data["text"], str) for name, data in told if name in ("speech.started", "speech.ended"))
    subtitles = [data for name, data in told if name == "subtitle.chunk"]
    assert all(data["text"] and isinstance(data["is_final"], bool) for data in subtitles)


async def test_speak_is_verbatim_numbered_and_heard_to_its_end(guest: Guest) -> None:
    guest.server.need_tones()
    turn = await guest.speak(TEXT)
    assert turn.answer == {
        "session_id": guest.session_id,
        "status": "queued",
        "generation": turn.answer["generation"],
    }
    told = await guest.ended(turn)
    await guest.events.find("speech.timing", after=turn.started + len(told))
    ended = told[-1][1]
    assert (ended["text"], ended["interrupted"]) == (TEXT, False)
    names = guest.events.names()
    order = ["speech.started", "speech.media_started", "subtitle.chunk", "speech.ended"]
    assert sorted(order, key=names.index) == order
    states = [data["new_state"] for _, name, data in guest.events.seen if name == "session.state_changed"]
    assert states == ["worker_ready", "ready", "speaking", "ready"]
    subtitles = [data for _, name, data in guest.events.seen if name == "subtitle.chunk"]
    assert " ".join(one["text"] for one in subtitles) == TEXT
    assert [one["is_final"] for one in subtitles] == [False, True]
    await guest.receiver.hear_more(200)
    assert abs(duration_ms(guest.receiver.samples(), 440) - 60 * len(TEXT.replace(". [", ".["))) < 100


@pytest.mark.parametrize(("action", "field"), [("/speak", "prompt"), ("/chat", "text")])
async def test_text_and_prompt_are_taken_in_both(guest: Guest, action: str, field: str) -> None:
    answer = await guest.call("POST", action, {field: "Hello."}, allow=(200, 400, 404, 422))
    guest.server.need(answer.get("status") == "queued", f"{field} in {action}")


async def test_a_turn_without_a_word_or_with_an_unknown_voice_is_refused(guest: Guest) -> None:
    refusals = (400, 422)
    for body in ({"text": ""}, {"text": " \n"}, {"text": "Hello.", "tts_provider": "none"}):
        answer = await guest.call("POST", "/speak", body, allow=refusals)
        assert answer["detail"]


async def test_what_was_said_before_the_browser_came_is_heard_when_it_comes(server: Server) -> None:
    server.need(server.strict, "a turn that waits for its listener")
    async with Guest(server) as guest:
        await guest.create()
        await guest.call("POST", "/speak", {"text": "[440] Welcome."})
        await guest.events.wait("tts", lambda data: data["stage"] == "complete")
        guest.receiver = Receiver()
        await guest.connect()
        await guest.events.wait("speech.ended", lambda data: not data["interrupted"])
        await guest.receiver.hear_more(100)
        assert duration_ms(guest.receiver.samples(), 440) > 400

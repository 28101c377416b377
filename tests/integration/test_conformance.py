"""What any client of the original may rely on, seen from outside alone: HTTP, events and WebRTC."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from aiortc.sdp import SessionDescription

from tests.integration.tones import duration_ms, is_silent, level, sounds, spoken
from tests.support.client import Client, Events, Receiver
from tests.support.llm_server import LLMServer
from tests.support.node import Node

pytestmark = pytest.mark.integration

NOBODY = "sess_000000000000"


async def test_a_session_has_an_id_of_the_original_shape_and_a_readable_hash(node: Node) -> None:
    async with Client(node.base) as client:
        session_id = await client.create()
        assert re.fullmatch(r"sess_[0-9a-f]{12}", session_id)
        shown = await client.call("GET", "")
        assert node.redis().hgetall(f"opentalking:session:{session_id}") == shown
        assert (shown["state"], shown["avatar_id"]) == ("worker_ready", "presenter")
        assert session_id in [one["session_id"] for one in (await client.request("GET", "/sessions"))["sessions"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/sessions", {"avatar_id": "nobody"}, 404),
        ("POST", "/sessions", {}, 422),
        ("POST", "/sessions", {"avatar_id": "presenter", "model": "none"}, 400),
        ("POST", "/sessions", {"avatar_id": "presenter", "tts_provider": "none"}, 400),
        ("POST", "/sessions", {"avatar_id": "presenter", "tts_voice": "none"}, 400),
        ("GET", f"/sessions/{NOBODY}", None, 404),
        ("POST", f"/sessions/{NOBODY}/start", None, 404),
        ("POST", f"/sessions/{NOBODY}/webrtc/offer", {"sdp": "v=0\r\n", "type": "offer"}, 404),
        ("POST", f"/sessions/{NOBODY}/speak", {"text": "hello"}, 404),
        ("POST", f"/sessions/{NOBODY}/chat", {"prompt": "hello"}, 404),
        ("POST", f"/sessions/{NOBODY}/interrupt", None, 404),
        ("GET", f"/sessions/{NOBODY}/events", None, 404),
        ("DELETE", f"/sessions/{NOBODY}", None, 404),
        ("GET", "/nothing/here", None, 404),
    ],
)
async def test_every_error_says_what_in_words_and_as_a_code(
    node: Node, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    async with Client(node.base) as client:
        answer = await client.request(method, path, body, allow=(status,))
        assert answer.keys() == {"detail", "code"}
        assert all(answer.values())


async def test_an_answer_sends_one_picture_and_one_sound(node: Node) -> None:
    async with Client(node.base) as client:
        await client.create()
        offer = {"sdp": await client.receiver.offer(), "type": "offer"}
        answer = await client.call("POST", "/webrtc/offer", offer)
        assert answer["type"] == "answer"
        media = SessionDescription.parse(answer["sdp"]).media
        assert sorted((line.kind, line.direction) for line in media) == [("audio", "sendonly"), ("video", "sendonly")]


async def test_an_offer_that_makes_no_sense_is_refused_and_the_next_one_is_answered(node: Node) -> None:
    async with Client(node.base) as client:
        await client.create()
        refused = await client.call("POST", "/webrtc/offer", {"sdp": "v=0\r\n", "type": "offer"}, allow=(400,))
        assert refused["code"] == "bad_offer"
        await client.connect()


async def test_speak_is_told_in_order_from_started_to_ended(client: Client) -> None:
    text = "[440] Hello there. [440] All of this is said."
    turn = await client.call("POST", "/speak", {"text": text})
    assert turn == {"session_id": client.session_id, "status": "queued", "generation": turn["generation"]}
    ended = await client.events.wait("speech.ended")
    await client.events.wait("speech.timing")
    assert (ended["text"], ended["interrupted"]) == (text, False)
    names = client.events.names()
    order = ["speech.started", "speech.media_started", "subtitle.chunk", "speech.ended"]
    assert sorted(order, key=names.index) == order
    states = [data["new_state"] for _, name, data in client.events.seen if name == "session.state_changed"]
    assert states == ["worker_ready", "ready", "speaking", "ready"]
    subtitles = [data for _, name, data in client.events.seen if name == "subtitle.chunk"]
    assert " ".join(one["text"] for one in subtitles) == text
    assert [one["is_final"] for one in subtitles] == [False, True]
    await client.receiver.hear_more(200)
    assert abs(duration_ms(client.receiver.samples(), 440) - 60 * len(text.replace(". [", ".["))) < 100


async def test_speak_during_speech_replaces_it_and_no_sample_of_it_comes_later(client: Client) -> None:
    first = await client.call("POST", "/speak", {"text": spoken(440)})
    await client.receiver.until(lambda: duration_ms(client.receiver.samples(), 440) > 300)
    second = await client.call("POST", "/speak", {"text": "[880] Now this instead."})
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == first["generation"])
    assert ended["interrupted"] is True
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == second["generation"])
    assert ended["interrupted"] is False
    await client.receiver.hear_more(200)
    heard = client.receiver.samples()
    assert sounds(heard, 440).max() <= sounds(heard, 880).min()
    assert level(heard, 440)[sounds(heard, 880).min() + 1 :].max() < 600


async def test_interrupting_someone_who_is_silent_changes_nothing(client: Client) -> None:
    before = client.events.names()
    answer = await client.call("POST", "/interrupt")
    assert answer["status"] == "interrupted"
    await client.receiver.hear_more(300)
    assert (await client.call("GET", ""))["state"] == "ready"
    assert client.events.names() == before
    assert is_silent(client.receiver.samples())


async def test_an_interruption_leaves_tracks_and_ssrcs_as_they_were_and_the_idle_face_goes_on(client: Client) -> None:
    def sources() -> list[int]:
        receivers = client.receiver.connection.getReceivers()
        return [source.source for receiver in receivers for source in receiver.getSynchronizationSources()]

    await client.call("POST", "/speak", {"text": spoken(440)})
    await client.receiver.until(lambda: duration_ms(client.receiver.samples(), 440) > 200)
    before = sources()
    await client.call("POST", "/interrupt")
    await client.events.wait("session.state_changed", lambda data: data["old_state"] == "speaking")
    seen = len(client.receiver.pictures)
    await client.receiver.until(lambda: len(client.receiver.pictures) >= seen + 25)
    stamps = [pts for _, pts, _ in client.receiver.pictures]
    gaps = {(after - before) % 2**32 for before, after in pairwise(stamps)}
    assert gaps <= {1800, 3600, 5400}  # 40 ms; speech may begin half-way, and its end leaves a half behind
    assert sources() == before
    assert len(before) == 2


async def test_events_are_replayed_from_any_id(client: Client) -> None:
    await client.call("POST", "/speak", {"text": "[440] Hello there."})
    await client.events.wait("speech.timing")
    await client.events.wait("status", lambda data: data["stage"] == "idle")
    seen = client.events.seen
    position = client.events.names().index("speech.started")
    url = f"{client.base}/sessions/{client.session_id}/events"
    for again in (
        Events(client.http, url, seen[position][0]),
        Events(client.http, f"{url}?last_event_id={seen[position][0]}"),
    ):
        await again.wait("status", lambda data: data["stage"] == "idle")
        assert again.seen == seen[position + 1 :]
        await again.close()


async def test_the_events_of_a_session_that_ended_can_still_be_read_to_their_end(node: Node) -> None:
    async with Client(node.base) as client:
        session_id = await client.create()
        assert await client.call("DELETE", "") == {"session_id": session_id, "status": "closed"}
        terminated = await client.events.wait("session.terminated")
        assert terminated["reason"] == "client"
        again = Events(client.http, f"{client.base}/sessions/{session_id}/events")
        await again.wait("session.terminated")
        assert again.seen == client.events.seen
        assert (await client.call("POST", "/speak", {"text": "hello"}, allow=(409,)))["code"] == "session_ended"


async def test_what_was_said_before_the_browser_came_is_heard_when_it_comes(node: Node, llm: LLMServer) -> None:
    async with Client(node.base) as client:
        await client.create()
        await client.call("POST", "/speak", {"text": "[440] Welcome."})
        await client.events.wait("tts", lambda data: data["stage"] == "complete")
        client.receiver = Receiver()
        await client.connect()
        await client.events.wait("speech.ended", lambda data: not data["interrupted"])
        await client.receiver.hear_more(100)
        assert duration_ms(client.receiver.samples(), 440) > 400

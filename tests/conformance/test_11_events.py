"""Item 11: silence is broken by a ping, and what was missed is told again to whoever comes back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.guest import Guest
from tests.conformance.server import Server
from tests.support.client import Events

pytestmark = pytest.mark.integration

PING_S = 30
Seen = list[tuple[str, str, dict[str, Any]]]


def without_pings(seen: Seen) -> Seen:
    return [event for event in seen if event[1] != "ping"]


async def test_silence_is_broken_by_a_ping(guest: Guest) -> None:
    number = await guest.events.find("ping", after=len(guest.events.seen), timeout_s=PING_S * 1.1)
    assert guest.events.seen[number] == ("", "ping", {})


async def test_the_stream_says_what_it_is(guest: Guest) -> None:
    async with guest.http.get(guest.events_url) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert "no-cache" in response.headers["Cache-Control"]


async def test_ids_only_grow(guest: Guest) -> None:
    await guest.ended(await guest.speak("[440] Hello there."))
    ids = [number for number, _, _ in without_pings(guest.events.seen)]
    guest.server.need(all(ids), "ids of events")
    order = [tuple(map(int, number.split("-"))) for number in ids]
    assert order == sorted(set(order))


async def test_events_are_replayed_from_any_id(guest: Guest) -> None:
    await guest.ended(await guest.speak("[440] Hello there."))
    guest.server.need(guest.events.seen[0][0], "ids of events")
    await guest.events.wait("speech.timing")
    await guest.events.wait("status", lambda data: data["stage"] == "idle")
    seen = without_pings(guest.events.seen)
    position = guest.events.names().index("speech.started")
    last_id = seen[position][0]
    for again in (
        Events(guest.http, guest.events_url, last_id),
        Events(guest.http, f"{guest.events_url}?last_event_id={last_id}"),
    ):
        await again.wait("status", lambda data: data["stage"] == "idle")
        assert without_pings(again.seen) == seen[position + 1 :]
        await again.close()


async def test_the_events_of_a_session_that_ended_can_still_be_read_to_their_end(server: Server) -> None:
    async with Guest(server) as guest:
        session_id = await guest.create()
        assert await guest.call("DELETE", "") == {"session_id": session_id, "status": "closed"}
        server.need(server.strict or guest.events.seen[0][0], "ids of events")
        terminated = await guest.events.wait("session.terminated")
        assert terminated["reason"] == "client"
        again = guest.listen()
        await again.wait("session.terminated")
        assert again.seen == guest.events.seen
        await again.close()
        assert (await guest.call("POST", "/speak", {"text": "hello"}, allow=(409,)))["code"] == "session_ended"

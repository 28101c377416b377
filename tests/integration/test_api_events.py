"""The event stream as a browser sees it: ids, replay, pings, the end, and a client that does not read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from api import sse
from api.context import FOLLOWERS
from tests.api_client import Api

Frame = dict[str, str]


@asynccontextmanager
async def stream(
    api: Api, session_id: str, query: str = "", headers: Mapping[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    async with api.client.get(f"/sessions/{session_id}/events{query}", headers=headers) as response:
        yield response


async def frames(response: aiohttp.ClientResponse) -> AsyncIterator[Frame]:
    fields: Frame = {}
    async for line in response.content:
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
        elif fields:
            yield fields
            fields = {}


async def told(response: aiohttp.ClientResponse, count: int) -> list[Frame]:
    """The next events, pings left out."""
    found: list[Frame] = []
    async for frame in frames(response):
        if frame.get("event", "ping") != "ping":
            found.append(frame)
        if len(found) == count:
            break
    return found


async def say(api: Api, session_id: str, *deltas: str) -> list[str]:
    return [await api.store.emit(session_id, "llm", {"delta": delta}) for delta in deltas]


async def test_what_was_told_before_the_stream_was_opened_is_not_lost(api: Api) -> None:
    session_id = await api.new_session()
    ids = await say(api, session_id, "before", "zwei\nZeilen")
    async with stream(api, session_id) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "no-cache" in response.headers["Cache-Control"]
        ids += await say(api, session_id, "after")
        events = await told(response, 3)
    assert [event["id"] for event in events] == ids
    assert [event["event"] for event in events] == ["llm"] * 3
    data: list[dict[str, Any]] = [json.loads(event["data"]) for event in events]
    assert data == [{"session_id": session_id, "delta": text} for text in ("before", "zwei\nZeilen", "after")]


@pytest.mark.parametrize("by", ["header", "query", "both"])
async def test_a_stream_replays_what_came_after_the_last_id(api: Api, by: str) -> None:
    session_id = await api.new_session()
    ids = await say(api, session_id, "1", "2", "3")
    query = {"header": "", "query": f"?last_event_id={ids[0]}", "both": "?last_event_id=0"}[by]
    headers = {} if by == "query" else {"Last-Event-ID": ids[0]}
    async with stream(api, session_id, query, headers) as response:
        assert [event["id"] for event in await told(response, 2)] == ids[1:]


async def test_silence_is_broken_by_pings_without_an_id(api: Api) -> None:
    session_id = await api.new_session()
    async with stream(api, session_id) as response:
        async for frame in frames(response):
            if frame.get("event"):
                assert frame == {"event": "ping", "data": "{}"}
                break


async def test_the_stream_ends_with_the_session(api: Api) -> None:
    session_id = await api.new_session()
    async with stream(api, session_id) as response:
        await api.delete(f"/sessions/{session_id}")
        events = [frame async for frame in frames(response) if frame.get("event", "ping") != "ping"]
    changes = [json.loads(event["data"])["new_state"] for event in events[:-1]]
    assert changes == ["closing", "closed"]
    assert events[-1]["event"] == "session.terminated"
    assert json.loads(events[-1]["data"]) == {"session_id": session_id, "reason": "client"}


async def test_a_stream_of_an_ended_session_tells_the_rest_and_then_says_do_not_reconnect(api: Api) -> None:
    session_id = await api.new_session()
    await say(api, session_id, "1")
    await api.store.end_session(session_id, "closed", "client")
    async with stream(api, session_id) as response:
        events = [frame async for frame in frames(response)]
    assert [event["event"] for event in events] == ["llm", "session.state_changed", "session.terminated"]
    async with stream(api, session_id, headers={"Last-Event-ID": events[-1]["id"]}) as response:
        assert response.status == 204


async def test_a_stream_ends_when_the_session_vanishes_from_redis(api: Api, redis_url: str) -> None:
    session_id = await api.new_session()
    async with stream(api, session_id) as response:
        await api.store._call("DEL", f"opentalking:session:{session_id}")
        assert all(frame.get("event", "ping") == "ping" for frame in [frame async for frame in frames(response)])


@pytest.mark.parametrize("bad", ["x", "-1", "1-", "$", "9" * 30])
async def test_an_id_that_is_none_is_refused(api: Api, bad: str) -> None:
    session_id = await api.new_session()
    status, answer = await api.get(f"/sessions/{session_id}/events?last_event_id={bad}")
    detail = f"last_event_id: expected the id of an event, got {bad!r}"
    assert (status, answer) == (400, {"detail": detail, "code": "invalid_event_id"})


async def test_many_followers_see_the_same(api: Api) -> None:
    session_id = await api.new_session()

    async def follow() -> list[Frame]:
        async with stream(api, session_id) as response:
            return await told(response, 20)

    followers = [asyncio.create_task(follow()) for _ in range(8)]
    ids = await say(api, session_id, *map(str, range(20)))
    for events in await asyncio.gather(*followers):
        assert [event["id"] for event in events] == ids


async def test_a_client_that_does_not_read_is_disconnected(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SLOW_S", 0.2)
    session_id = await api.new_session()
    server = api.client.server
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((server.host, server.port))
        client.sendall(f"GET /sessions/{session_id}/events HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        follower: asyncio.Task[object] | None = None
        for _ in range(100):  # 20 MB: more than any socket buffer takes
            await say(api, session_id, "x" * 200_000)
            follower = follower or next(iter(api.client.app[FOLLOWERS]), None)  # type: ignore[union-attr]
        assert follower is not None, "the stream was never open"
        await asyncio.wait({follower})


async def test_open_streams_end_when_the_application_shuts_down(api: Api) -> None:
    session_id = await api.new_session()
    app = api.client.app
    assert app is not None
    async with stream(api, session_id) as response:
        await anext(aiter(frames(response)))
        (follower,) = app[FOLLOWERS]
        await app.shutdown()
        await asyncio.wait_for(asyncio.wait({follower}), 10)


async def test_a_stream_whose_client_left_is_given_up(api: Api) -> None:
    session_id = await api.new_session()
    followers = api.client.app[FOLLOWERS]  # type: ignore[union-attr]
    async with stream(api, session_id) as response:
        await anext(aiter(frames(response)))
        (follower,) = followers
        response.close()
    await asyncio.wait({follower})  # the next ping finds nobody

"""A session's events as Server-Sent Events, replayed from any id, so that a page that reconnects misses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from aiohttp import web

from api import sse
from api.context import FOLLOWERS, INSTRUMENTS, PING_S, STORE, session_of
from api.errors import ApiError
from api.route import Query, Route
from opentalking.store import Session, Store

log = logging.getLogger(__name__)

AT_ONCE_S = 0.001  # how long to look for what an ended session has left to tell


async def follow(request: web.Request) -> web.StreamResponse:
    """Replay, then follow until session.terminated. 204 (do not reconnect) when an ended session has nothing more."""
    session, last_id = await session_of(request), _last_id(request)
    async with aclosing(_frames(request.app[STORE], session, last_id, request.app[PING_S])) as frames:
        opening: bytes | None = sse.RETRY
        if session.ended:
            opening = await anext(frames, None)
        if opening is None:
            return web.Response(status=204)
        response = web.StreamResponse(headers=sse.HEADERS)
        with _counted(request.app):
            try:
                await response.prepare(request)
                await sse.write(request, response, opening)
                async for frame in frames:
                    await sse.write(request, response, frame)
            except asyncio.CancelledError:  # the process is going: the stream ends as it should, and is asked for again
                pass
            except ConnectionError as error:
                log.info("events of %s: %s", session.session_id, error)
    return response


@contextmanager
def _counted(app: web.Application) -> Iterator[None]:
    """The stream is one of the open ones, which the application ends when it shuts down."""
    task: asyncio.Task[object] | None = asyncio.current_task()
    assert task is not None
    app[FOLLOWERS].add(task)
    try:
        with app[INSTRUMENTS].followers.track_inprogress():
            yield
    finally:
        app[FOLLOWERS].discard(task)


async def _frames(store: Store, session: Session, last_id: str, ping_s: float) -> AsyncGenerator[bytes, None]:
    """What to send, to the session's end: events, and a ping for each silence."""
    silence_s = AT_ONCE_S if session.ended else ping_s
    async with aclosing(store.events(session.session_id, last_id, silence_s)) as events:
        async for event in events:
            if event is not None:
                yield sse.frame(event)
                if event.event == "session.terminated":
                    return
            elif session.ended or not await store.session_hash(session.session_id):
                return
            else:
                yield sse.PING


def _last_id(request: web.Request) -> str:
    """Where to replay from: the header (a browser that reconnects), the query (a page that was reloaded), or "0"."""
    for name, value in (
        ("Last-Event-ID", request.headers.get("Last-Event-ID", "")),
        ("last_event_id", request.query.get("last_event_id", "")),
    ):
        if value and not sse.STREAM_ID.fullmatch(value):
            raise ApiError(400, "invalid_event_id", f"{name}: expected the id of an event, got {value[:40]!r}")
        if value:
            return value
    return "0"


ROUTES = (
    Route(
        "GET",
        "/sessions/{session_id}/events",
        follow,
        "Events as they happen, and those before (Last-Event-ID, or from the first kept)",
        answer_type="text/event-stream",
        errors=(400, 404),
        query=(Query("last_event_id", "replay what came after this event; the header Last-Event-ID goes first"),),
    ),
)

"""Server-sent events: the lines of a frame, and a writer that drops a client who does not read."""

from __future__ import annotations

import asyncio
import re

import msgspec
from aiohttp import web

from opentalking.store import Event

SLOW_S = 5.0  # a client that takes nothing for so long is disconnected
RETRY = b"retry: 1000\n\n"  # ms before a browser reconnects
PING = b"event: ping\ndata: {}\n\n"
STREAM_ID = re.compile(r"\d{1,19}(-\d{1,19})?")
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class SlowClient(ConnectionError):
    """The client does not read; its connection was cut."""


def frame(event: Event) -> bytes:
    """JSON has no raw line breaks, so one `data:` line is enough."""
    payload = msgspec.json.encode(event.data)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event.id.encode(), event.event.encode(), payload)


async def write(request: web.Request, response: web.StreamResponse, payload: bytes) -> None:
    """Write, and wait until the transport takes more. Raises SlowClient when it does not within SLOW_S.

    What is buffered for a client is so bounded by the socket's buffer and the transport's high-water mark.
    """
    try:
        async with asyncio.timeout(SLOW_S):
            await response.write(payload)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise SlowClient(f"the client read nothing for {SLOW_S:g} s") from None

"""A session's events: a stream, so that whoever reconnects misses nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from opentalking.store import keys, scripts
from opentalking.store.client import Client
from opentalking.store.records import Event

PING_S = 15.0


class Events(Client):
    """Appending to and following `opentalking:events:{id}`."""

    async def emit(self, session_id: str, event: str, data: dict[str, Any]) -> str:
        """Append an event and give its id; `session_id` is put into the data."""
        payload = msgspec.json.encode({"session_id": session_id, **data}).decode()
        stream, session = keys.events(session_id), keys.session(session_id)
        return str(await self._script(scripts.EMIT, [stream, session], event, payload))

    async def past_events(self, session_id: str) -> list[Event]:
        """What is kept of a session's events, oldest first."""
        entries = await self._call("XRANGE", keys.events(session_id), "-", "+")
        return [Event(id_, fields["event"], msgspec.json.decode(fields["data"])) for id_, fields in entries]

    async def events(
        self, session_id: str, last_id: str = "0", ping_s: float = PING_S
    ) -> AsyncGenerator[Event | None, None]:
        """Every event after `last_id` ("0": from the first kept), then new ones; None for each `ping_s` of silence."""
        stream = keys.events(session_id)
        async for entry in self._follow(stream, last_id, ping_s):
            if entry is None:
                yield None
                continue
            entry_id, fields = entry
            yield Event(entry_id, fields["event"], msgspec.json.decode(fields["data"]))

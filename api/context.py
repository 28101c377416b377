"""What the handlers share, as typed keys of the application."""

from __future__ import annotations

import asyncio

from aiohttp import web

from api.building import Builder
from api.errors import ApiError, session_not_found
from api.instruments import Instruments
from api.schemas import IceServer
from opentalking.config import Settings
from opentalking.store import Session, Store


class Followers(set[asyncio.Task[object]]):
    """Tasks of the event streams that are open."""


SETTINGS = web.AppKey("settings", Settings)
STORE = web.AppKey("store", Store)
INSTRUMENTS = web.AppKey("instruments", Instruments)
ADMISSION = web.AppKey("admission", asyncio.Lock)  # one placement at a time: each must see the one before
FOLLOWERS = web.AppKey("followers", Followers)
PING_S = web.AppKey("ping_s", float)  # silence after which an event stream says so
PICK_UP_S = web.AppKey("pick_up_s", float)  # how long an offer waits for a session that is being loaded
ICE_SERVERS = web.AppKey("ice_servers", list[IceServer])
BUILDER = web.AppKey("builder", Builder)
OPENAPI = web.AppKey("openapi", bytes)


async def session_of(request: web.Request) -> Session:
    """The session named in the path, ended or not. Raises 404."""
    session_id = request.match_info["session_id"]
    session = await request.app[STORE].get_session(session_id)
    if session is None:
        raise session_not_found(session_id)
    return session


async def open_session_of(request: web.Request) -> Session:
    """The session named in the path, if it can still be talked to. Raises 404, or 409 once it is closing or over."""
    session = await session_of(request)
    if session.ended or session.state == "closing":
        reason = f" ({session.ended_reason})" if session.ended_reason else ""
        raise ApiError(409, "session_ended", f"session {session.session_id} is {session.state}{reason}")
    return session

"""The SDP offer: passed to the rtc worker that owns the session, whose answer is the answer."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from aiohttp import web

from api.context import PICK_UP_S, STORE, open_session_of
from api.errors import ApiError
from api.route import Route
from api.schemas import AnswerBody, OfferBody
from opentalking.store import Offer, Session

ANSWER_S = 15.0
STATUSES = {"bad_offer": 400, "offer_timeout": 504}  # of the worker's codes; any other is 502
LOOK_S = 0.05  # between two looks at a hash that changes once


async def offer(request: web.Request, body: OfferBody) -> AnswerBody:
    if not body.sdp.startswith("v=0"):
        raise ApiError(400, "invalid_sdp", "sdp: a session description begins with v=0")
    session = await _picked_up(request)
    store, request_id = request.app[STORE], secrets.token_hex(8)
    deadline = time.time() + ANSWER_S
    await store.send(session.rtc_worker, Offer(session.session_id, request_id, body.sdp, body.type, deadline))
    reply = await store.wait_reply(request_id, ANSWER_S)
    if reply is None:
        raise ApiError(504, "no_answer", f"{session.rtc_worker} did not answer the offer within {ANSWER_S:g} s")
    if "sdp" not in reply:
        raise _refusal(reply)
    return AnswerBody(str(reply["sdp"]), "answer")


async def _picked_up(request: web.Request) -> Session:
    """The session, once the rtc worker has opened it and the inference worker made its idle picture.

    Raises ApiError if that takes too long.
    """
    deadline = time.monotonic() + request.app[PICK_UP_S]
    while True:
        session = await open_session_of(request)
        if {"rtc", "inference"} <= session.ready:
            return session
        if time.monotonic() >= deadline:
            raise _not_loaded(session)
        await asyncio.sleep(LOOK_S)


def _refusal(reply: dict[str, Any]) -> ApiError:
    """A worker's {"code", "detail"}."""
    code, detail = str(reply.get("code", "offer_failed")), str(reply.get("detail", "the rtc worker refused the offer"))
    return ApiError(STATUSES.get(code, 502), code, detail)


def _not_loaded(session: Session) -> ApiError:
    """404 as long as nobody has picked it up; then it is only slow."""
    if "rtc" not in session.ready:
        return ApiError(404, "session_not_loaded", f"session {session.session_id} is not loaded yet")
    detail = f"session {session.session_id} is still loading its avatar"
    return ApiError(503, "session_loading", detail, {"Retry-After": "1"})


ROUTES = (
    Route(
        "POST",
        "/sessions/{session_id}/webrtc/offer",
        offer,
        "Connect, or connect again: an SDP offer, answered",
        AnswerBody,
        OfferBody,
        errors=(400, 404, 409, 413, 415, 422, 502, 503, 504),
    ),
)

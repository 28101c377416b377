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
    """The session, once its rtc worker has opened it. Raises 404 session_not_loaded if that takes too long."""
    deadline = time.monotonic() + request.app[PICK_UP_S]
    while True:
        session = await open_session_of(request)
        if "rtc" in session.ready:
            return session
        if time.monotonic() >= deadline:
            raise ApiError(404, "session_not_loaded", f"session {session.session_id} is not loaded yet")
        await asyncio.sleep(LOOK_S)


def _refusal(reply: dict[str, Any]) -> ApiError:
    """A worker's {"code", "message"}: 400 if it finds the offer at fault, else 502."""
    code, message = (
        str(reply.get("code", "offer_failed")),
        str(reply.get("message", "the rtc worker refused the offer")),
    )
    at_fault = code in ("invalid_sdp", "no_common_codec")
    return ApiError(400 if at_fault else 502, code, f"sdp: {message}" if at_fault else message)


ROUTES = (
    Route(
        "POST",
        "/sessions/{session_id}/webrtc/offer",
        offer,
        "Connect, or connect again: an SDP offer, answered",
        AnswerBody,
        OfferBody,
        errors=(400, 404, 409, 413, 415, 422, 502, 504),
    ),
)

"""What a browser measured of a turn: sent back into the turn's trace, by the server's clock.

browser                                    api                              speech
  │── GET /clock, a few times ─────────────>│   offset: that of the quickest    │
  │<───────── speech.media_started ─────────│<──────────────────────────────────│
  │   first sound, first changed picture    │                                   │
  │── POST …/turns/{generation}/seen ──────>│── Seen ──────────────────────────>│
  │<───────── speech.timing, again ─────────│<──────────────────────────────────│
"""

from __future__ import annotations

import time

from aiohttp import web

from api.context import STORE, open_session_of
from api.errors import ApiError
from api.route import Route, json_response
from api.schemas import Clock, SeenBody, SessionStatus
from opentalking.store import Seen, Session

FARTHEST_S = 60.0  # of a moment from now
MOST_DIGITS = 15  # of a generation; no session lives that long


async def clock(request: web.Request) -> web.Response:
    return json_response(Clock(time.time()), headers={"Cache-Control": "no-store"})


async def seen(request: web.Request, body: SeenBody) -> SessionStatus:
    """One report of a turn counts; further ones are taken and change nothing."""
    now = time.time()
    session = await open_session_of(request)
    number = request.match_info["generation"]
    generation = int(number) if len(number) <= MOST_DIGITS else 0
    began_at = _began_at(session, generation)
    if body.first_sound_at is None and body.first_frame_at is None:
        raise ApiError(422, "invalid_field", "first_sound_at: required, or first_frame_at")
    _check("first_sound_at", body.first_sound_at, began_at, now)
    _check("first_frame_at", body.first_frame_at, began_at, now)
    report = Seen(session.session_id, generation, body.first_sound_at, body.first_frame_at, body.jitter_buffer_ms)
    await request.app[STORE].send(session.speech_worker, report)
    return SessionStatus(session.session_id, "noted", generation)


def _began_at(session: Session, generation: int) -> float:
    """The zero of a turn that is in progress, or was over last. Raises 404 for none, 409 for one before those."""
    last = session.last_turn or {}
    if generation and generation == session.turn:
        return session.turn_began_at
    if generation and generation == last.get("generation") and "accepted_at" in last:
        return float(last.get("speech_ended_at", last["accepted_at"]))
    newest = max(session.turn, int(last.get("generation", 0)))
    if 0 < generation <= newest:
        raise ApiError(409, "turn_over", f"turn {generation} of session {session.session_id} is not recorded any more")
    raise ApiError(404, "turn_not_found", f"session {session.session_id} has no such turn")


def _check(field: str, at: float | None, began_at: float, now: float) -> None:
    if at is None:
        return
    if not abs(at - now) <= FARTHEST_S:
        raise ApiError(422, "invalid_field", f"{field}: {at:.3f} is not within {FARTHEST_S:g} s of now ({now:.3f})")
    if at < began_at:
        raise ApiError(422, "invalid_field", f"{field}: {began_at - at:.3f} s before the turn began")


ROUTES = (
    Route("GET", "/clock", clock, "The server's clock", Clock),
    Route(
        "POST",
        r"/sessions/{session_id}/turns/{generation:\d+}/seen",
        seen,
        "When the browser itself heard and saw a turn begin",
        SessionStatus,
        SeenBody,
        errors=(400, 404, 409, 413, 415, 422, 503),
    ),
)

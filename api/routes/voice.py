"""Another voice for a live session, from its next turn on. The hash holds it, so it outlives the speech worker."""

from __future__ import annotations

from aiohttp import web

from api.context import STORE, open_session_of
from api.errors import session_not_found
from api.offers import require_voice
from api.route import Route
from api.schemas import SessionStatus, VoiceBody
from opentalking.store import ChooseVoice


async def choose(request: web.Request, body: VoiceBody) -> SessionStatus:
    """The turn in progress keeps the voice that it began with. Of several choices, the last one counts."""
    session, store = await open_session_of(request), request.app[STORE]
    own = [worker for worker in await store.workers() if worker.worker == session.speech_worker]
    provider = require_voice(own, body.tts_provider, body.tts_voice)
    chosen = (provider, body.tts_voice or "", body.tts_model or "")
    if not await store.set_voice(session.session_id, *chosen):
        raise session_not_found(session.session_id)
    await store.send(session.speech_worker, ChooseVoice(session.session_id))
    return SessionStatus(session.session_id, "ready")


ROUTES = (
    Route(
        "POST",
        "/sessions/{session_id}/voice",
        choose,
        "Speak with another voice from the next turn on",
        SessionStatus,
        VoiceBody,
        errors=(400, 404, 409, 413, 415, 422),
    ),
)

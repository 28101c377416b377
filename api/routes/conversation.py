"""The turns: say this, ask that, be silent. Each raises the generation first, so that what played before stops."""

from __future__ import annotations

import time

from aiohttp import web

from api.context import SETTINGS, STORE, open_session_of
from api.errors import ApiError
from api.offers import require_voice
from api.route import Route
from api.schemas import ChatBody, SessionStatus, SpeakBody
from opentalking.store import ROLES, Chat, Session, Speak


async def speak(request: web.Request, body: SpeakBody) -> SessionStatus:
    return await _turn(request, body, "text", body.text or body.prompt)


async def chat(request: web.Request, body: ChatBody) -> SessionStatus:
    return await _turn(request, body, "prompt", body.prompt or body.text)


async def _turn(request: web.Request, body: SpeakBody | ChatBody, field: str, text: str | None) -> SessionStatus:
    accepted_at = time.time()
    session, store = await open_session_of(request), request.app[STORE]
    require_staying(session)
    text = _checked(field, text, request.app[SETTINGS].max_text_chars)
    voice = body.voice or body.tts_voice
    provider = await require_voice_of(request, session, body.tts_provider, voice)
    generation = await store.next_generation(session.session_id)
    kind = Speak if isinstance(body, SpeakBody) else Chat
    command = kind(
        session.session_id,
        generation,
        text,
        accepted_at,
        tts_voice=voice or "",
        tts_provider=provider,
        tts_model=body.tts_model or "",
    )
    await store.send(session.speech_worker, command)
    return SessionStatus(session.session_id, "queued", generation)


async def interrupt(request: web.Request) -> SessionStatus:
    """Raise the generation. When nobody speaks this changes nothing that can be heard or seen."""
    session = await open_session_of(request)
    generation = await request.app[STORE].next_generation(session.session_id)
    return SessionStatus(session.session_id, "interrupted", generation)


def require_staying(session: Session) -> None:
    """A worker that is told to stop withdraws its readiness: what it says now may end, and nothing new begins."""
    going = [role for role in ROLES if role not in session.ready]
    if going and session.state != "created":
        detail = f"the {going[0]} worker of session {session.session_id} is restarting; send it again in a moment"
        raise ApiError(503, "draining", detail, {"Retry-After": "1"})


def _checked(field: str, text: str | None, most: int) -> str:
    if text is None or not text.strip():
        raise ApiError(400, "text_empty", f"{field}: must not be empty")
    if len(text) > most:
        raise ApiError(400, "text_too_long", f"{field}: {len(text)} characters, at most {most}")
    return text


async def require_voice_of(request: web.Request, session: Session, provider: str | None, voice: str | None) -> str:
    """Our name of the engine that the turn asks for, or nothing. Raises ApiError 400.

    Asks the session's own speech worker, and only when the turn wants something of its own."""
    if not (provider or voice):
        return ""
    workers = await request.app[STORE].workers()
    own = [worker for worker in workers if worker.worker == session.speech_worker]
    named = require_voice(own, provider or session.tts_provider or None, voice)
    return named if provider else ""


_ERRORS = (400, 404, 409, 413, 415, 422, 503)

ROUTES = (
    Route(
        "POST",
        "/sessions/{session_id}/speak",
        speak,
        "Say a text as it stands",
        SessionStatus,
        SpeakBody,
        errors=_ERRORS,
    ),
    Route(
        "POST", "/sessions/{session_id}/chat", chat, "Ask the language model", SessionStatus, ChatBody, errors=_ERRORS
    ),
    Route("POST", "/sessions/{session_id}/interrupt", interrupt, "Be silent", SessionStatus, errors=(404, 409)),
)

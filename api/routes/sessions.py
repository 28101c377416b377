"""Sessions: making one (avatar, model and voice are checked, then three workers of a node chosen), seeing, ending."""

from __future__ import annotations

import asyncio
import secrets

import msgspec
from aiohttp import web

from api.context import ADMISSION, SETTINGS, STORE, open_session_of, session_of
from api.errors import ApiError
from api.offers import require_model, require_stt_named, require_voice
from api.placement import is_ready, place
from api.route import Route
from api.schemas import CreateSession, HistoryEntry, SessionList, SessionShown, SessionStatus
from opentalking.avatars import AvatarError, AvatarNotFound, Bundle, find_avatar
from opentalking.store import Close, NewSession, Open, Store
from opentalking.types import FPS


async def create(request: web.Request, body: CreateSession) -> SessionStatus:
    store, settings = request.app[STORE], request.app[SETTINGS]
    bundle = await bundle_of(request, body.avatar_id)
    model = body.model or settings.default_model or bundle.manifest.model_type
    async with request.app[ADMISSION]:
        workers, sessions = await asyncio.gather(store.workers(), store.list_sessions())
        workers = [worker for worker in workers if is_ready(worker)]
        require_model(workers, model, settings)
        speech = [worker for worker in workers if worker.role == "speech"]
        provider = require_voice(speech, body.tts_provider, body.tts_voice)
        require_stt_named(speech, body.stt_provider)
        placement = place(workers, sessions, settings.max_sessions, model)
        session = NewSession(
            session_id=f"sess_{secrets.token_hex(6)}",
            avatar_id=bundle.id,
            model=model,
            node=placement.node,
            speech_worker=placement.speech,
            inference_worker=placement.inference,
            rtc_worker=placement.rtc,
            width=bundle.manifest.width,
            height=bundle.manifest.height,
            fps=FPS,
            tts_provider=provider,
            tts_voice=body.tts_voice or "",
            tts_model=body.tts_model or "",
            stt_provider=body.stt_provider or "",
            llm_system_prompt=body.llm_system_prompt or "",
            user_id=body.user_id or "",
        )
        await store.create_session(session)
    chosen = (placement.speech, placement.inference, placement.rtc)
    await asyncio.gather(*(store.send(worker, Open(session.session_id)) for worker in chosen))
    return SessionStatus(session.session_id, "created")


async def bundle_of(request: web.Request, avatar_id: str) -> Bundle:
    """The avatar of that id. Raises ApiError 404 or 400."""
    try:
        return await asyncio.to_thread(find_avatar, request.app[SETTINGS], avatar_id)
    except AvatarNotFound as error:
        raise ApiError(404, "avatar_not_found", f"avatar_id: {error}") from None
    except AvatarError as error:
        raise ApiError(400, "avatar_unusable", f"avatar_id: {error}") from None


async def index(request: web.Request) -> SessionList:
    return SessionList([session.raw for session in await request.app[STORE].list_sessions()])


async def show(request: web.Request) -> dict[str, str]:
    session = await session_of(request)
    history = await request.app[STORE].history(session.session_id, HistoryEntry)
    return {**session.raw, "history": msgspec.json.encode(history).decode()}


async def start(request: web.Request) -> SessionStatus:
    session = await open_session_of(request)
    if session.state == "created":
        raise ApiError(409, "not_ready", f"session {session.session_id} is still being prepared")
    if session.state == "worker_ready":
        await request.app[STORE].set_state(session.session_id, "ready")
    return SessionStatus(session.session_id, "ready")


async def close(request: web.Request) -> SessionStatus:
    """End it. Ending what has ended is no error: the answer is what the caller wanted."""
    session, store = await session_of(request), request.app[STORE]
    if not session.ended:
        await store.set_state(session.session_id, "closing")
        await store.next_generation(session.session_id)
        await send_close(store, session.workers, session.session_id, "client")
        await store.end_session(session.session_id, "closed", "client")
    return SessionStatus(session.session_id, "closed")


async def send_close(store: Store, workers: tuple[str, ...], session_id: str, reason: str) -> None:
    await asyncio.gather(*(store.send(worker, Close(session_id, reason)) for worker in workers))


ROUTES = (
    Route(
        "POST",
        "/sessions",
        create,
        "Make a session on a node that has room",
        SessionStatus,
        CreateSession,
        errors=(400, 404, 413, 415, 422, 503),
    ),
    Route("GET", "/sessions", index, "Live sessions, each as its Redis hash", SessionList),
    Route(
        "GET",
        "/sessions/{session_id}",
        show,
        "The session's Redis hash, and what was asked and heard",
        SessionShown,
        errors=(404,),
    ),
    Route("DELETE", "/sessions/{session_id}", close, "End the session", SessionStatus, errors=(404,)),
    Route("POST", "/sessions/{session_id}/start", start, "Declare it ready", SessionStatus, errors=(404, 409)),
)

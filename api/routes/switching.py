"""Another avatar for a live session: checked here as a new session's would be, done by its workers
(workers/switching.py), and told as `session.avatar` when the new face is on screen."""

from __future__ import annotations

from aiohttp import web

from api.context import SETTINGS, STORE, open_session_of
from api.errors import ApiError, session_not_found
from api.offers import require_model
from api.placement import RETRY_AFTER_S, is_full
from api.route import Route
from api.routes.conversation import require_staying
from api.routes.sessions import bundle_of
from api.schemas import SessionStatus, SwitchBody
from opentalking.store import SwitchAvatar


async def switch(request: web.Request, body: SwitchBody) -> SessionStatus:
    """What is being said goes on, spoken by the new face. Of several switches, the last one counts."""
    session, store, settings = await open_session_of(request), request.app[STORE], request.app[SETTINGS]
    if session.state == "created":
        raise ApiError(409, "not_ready", f"session {session.session_id} is still being prepared")
    require_staying(session)
    bundle = await bundle_of(request, body.avatar_id)
    model = body.model or settings.default_model or bundle.manifest.model_type
    own = [worker for worker in await store.workers() if worker.worker == session.inference_worker]
    require_model(own, model, settings)
    if model != session.model:
        others = [one for one in await store.list_sessions() if one.inference_worker == session.inference_worker]
        if any(is_full(worker, others, model) for worker in own):
            detail = f"as many sessions as {model} was measured to serve there use it; ask again later"
            raise ApiError(503, "at_capacity", detail, {"Retry-After": str(RETRY_AFTER_S)})
    face = await store.ask_face(session.session_id)
    if not face:
        raise session_not_found(session.session_id)
    await store.send(session.inference_worker, SwitchAvatar(session.session_id, face, bundle.id, model))
    return SessionStatus(session.session_id, "switching")


ROUTES = (
    Route(
        "POST",
        "/sessions/{session_id}/avatar",
        switch,
        "Show another avatar, without a new connection",
        SessionStatus,
        SwitchBody,
        errors=(400, 404, 409, 413, 415, 422, 503),
    ),
)

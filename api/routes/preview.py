"""How a voice sounds, before anybody talks with it."""

from __future__ import annotations

import base64
import secrets
import time

from aiohttp import web

from api.context import STORE
from api.errors import ApiError
from api.offers import require_voice
from api.placement import is_ready
from api.route import Route
from api.schemas import PreviewBody
from opentalking.store import Preview

PREVIEW_S = 30.0
MOST_CHARS = 1000
STATUSES = {"bad_request": 400, "timeout": 504}  # of the voice's codes; any other is 502


async def preview(request: web.Request, body: PreviewBody) -> web.Response:
    if not body.text.strip():
        raise ApiError(400, "text_empty", "text: must not be empty")
    if len(body.text) > MOST_CHARS:
        raise ApiError(400, "text_too_long", f"text: {len(body.text)} characters, at most {MOST_CHARS}")
    store, request_id = request.app[STORE], secrets.token_hex(8)
    voice = body.voice or body.tts_voice
    speech = [worker for worker in await store.workers() if worker.role == "speech" and is_ready(worker)]
    if not speech:
        raise ApiError(503, "no_workers", "no speech worker is ready", {"Retry-After": "5"})
    provider = require_voice(speech, body.tts_provider, voice)
    command = Preview(
        f"preview-{request_id}",
        request_id,
        body.text,
        time.time() + PREVIEW_S,
        tts_provider=provider,
        tts_voice=voice or "",
        tts_model=body.tts_model or "",
    )
    worker = min(speech, key=lambda worker: (worker.sessions, worker.worker))
    await store.send(worker.worker, command)
    reply = await store.wait_reply(request_id, PREVIEW_S + 1)
    if reply is None:
        raise ApiError(504, "tts_timeout", f"{worker.worker} did not answer within {PREVIEW_S:g} s")
    if "wav" not in reply:
        code = str(reply.get("code", "failed"))
        raise ApiError(STATUSES.get(code, 502), f"tts_{code}", str(reply.get("detail", "the voice failed")))
    return web.Response(body=base64.b64decode(reply["wav"]), content_type="audio/wav")


ROUTES = (
    Route(
        "POST",
        "/tts/preview",
        preview,
        "A text in a voice, as a WAV",
        body=PreviewBody,
        answer_type="audio/wav",
        errors=(400, 413, 415, 422, 502, 503, 504),
    ),
)

"""Avatars that people make: a photo or a short video in, an avatar out; and away again.

The answer is one AvatarSummary, or a refusal with the report on the picture. Whoever accepts `text/event-stream` is
told of the progress: `progress` {"stage", "share"}, then `done` (the AvatarSummary and the report) or `error` (what the
refusal would have been).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web

from api import sse
from api.building import too_slow
from api.context import BUILDER, FOLLOWERS, SETTINGS, STORE
from api.errors import ApiError, name_the_field
from api.route import Form, Route, json_response
from api.routes.catalog import summary
from api.schemas import AvatarForm, AvatarGone, AvatarSummary, Prewarm, PrewarmBody
from api.tidying import finish_deletions
from api.upload import Upload, receive, require_own_page
from opentalking.avatars import AvatarError, AvatarNotFound, Bundle, custom_avatars_dir, find_avatar
from opentalking.avatars.custom import AvatarProtected, delete_avatar, leave, new_id
from opentalking.avatars.incoming import incoming, sweep_incoming
from opentalking.avatars.storage import AvatarsFull, drop_caches, require_room
from opentalking.config import Settings
from opentalking.models.registry import list_models

log = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
FULL = (AvatarsFull.code, "disk_full")


async def custom(request: web.Request) -> web.StreamResponse:
    """Take a photo or a video and make an avatar of it; nothing is kept of what is refused."""
    settings = request.app[SETTINGS]
    files = {"image": settings.max_avatar_image_bytes, "video": settings.max_avatar_video_bytes}
    builder = request.app[BUILDER]
    with builder.admitted(), _room_for_another(), incoming(custom_avatars_dir(settings)) as place:
        await asyncio.to_thread(require_room, settings)
        try:
            async with asyncio.timeout(settings.avatar_build_timeout_s):
                upload = await receive(request, files, place)
        except TimeoutError:
            raise too_slow(settings) from None
        form, avatar_id = _form(upload), new_id(upload.fields.get("name", ""))
        arguments = await asyncio.to_thread(_arguments, settings, upload, form, request.remote or "unknown")
        async with _whole_or_none(settings, avatar_id), aclosing(builder.run(*arguments, f"--id={avatar_id}")) as steps:
            if EVENT_STREAM in request.headers.get("Accept", ""):
                return await _told(request, steps)
            return _answer(settings, await _last(steps))


@contextlib.contextmanager
def _room_for_another() -> Iterator[None]:
    """Raises ApiError 507 for a limit that is reached, and for a disk that is full."""
    try:
        yield
    except AvatarsFull as error:
        raise ApiError(507, error.code, str(error)) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ApiError(507, "disk_full", f"the server cannot keep it: {error.strerror}") from None


@contextlib.asynccontextmanager
async def _whole_or_none(settings: Settings, avatar_id: str) -> AsyncGenerator[None]:
    """Around the process that makes an avatar: one that was killed has left its part to us."""
    try:
        yield
    finally:
        if not (custom_avatars_dir(settings) / avatar_id).exists():
            await asyncio.to_thread(drop_caches, settings, avatar_id)
            await asyncio.to_thread(sweep_incoming, custom_avatars_dir(settings))


async def _last(steps: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any]:
    return [step async for step in steps][-1]


def _answer(settings: Settings, result: dict[str, Any]) -> web.Response:
    if "error" in result:
        return json_response(result["error"], 507 if result["error"]["code"] in FULL else 400)
    return json_response(_made(settings, result))


def _made(settings: Settings, result: dict[str, Any]) -> AvatarSummary:
    bundle = find_avatar(settings, result["avatar_id"])
    log.info("avatar %s made, consent by %s", bundle.id, bundle.manifest.metadata["consent"]["by"])
    return summary(bundle)


async def _told(request: web.Request, steps: AsyncGenerator[dict[str, Any], None]) -> web.StreamResponse:
    """The same as events. Whoever leaves before the end has ended the work, and nothing of it is kept."""
    settings, made = request.app[SETTINGS], ""
    response = web.StreamResponse(headers=sse.HEADERS)
    task: asyncio.Task[object] | None = asyncio.current_task()
    assert task is not None
    request.app[FOLLOWERS].add(task)
    try:
        await response.prepare(request)
        async for event, payload in _events(settings, steps):
            made = payload["avatar"].id if event == b"done" else ""
            await sse.write(request, response, b"event: %b\ndata: %b\n\n" % (event, msgspec.json.encode(payload)))
    except ConnectionError as error:
        log.info("an avatar was given up: %s", error)
        if made:
            await asyncio.to_thread(delete_avatar, settings, made)
    finally:
        request.app[FOLLOWERS].discard(task)
    return response


async def _events(
    settings: Settings, steps: AsyncGenerator[dict[str, Any], None]
) -> AsyncGenerator[tuple[bytes, Any], None]:
    try:
        async for step in steps:
            if "error" in step:
                yield b"error", step["error"]
            elif "avatar_id" in step:
                yield b"done", {"avatar": _made(settings, step), "report": step["report"]}
            else:
                yield b"progress", step
    except ApiError as error:  # the headers are out: it cannot be the status any more
        yield b"error", {"detail": error.detail, "code": error.code}


def _form(upload: Upload) -> AvatarForm:
    given = {name: text for name, text in upload.fields.items() if text}
    try:
        form = msgspec.convert(given, AvatarForm, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(422, "invalid_field", name_the_field(str(error))) from None
    if not form.consent:
        detail = "consent: say that the person in the picture agrees to be shown speaking (consent=true)"
        raise ApiError(422, "consent_required", detail)
    if form.person_mode != "single":
        raise ApiError(400, "person_mode_unsupported", "person_mode: pictures of one person only (single)")
    if form.remove_background:
        raise ApiError(400, "background_unsupported", "remove_background: the background stays; leave this out")
    return form


def _arguments(settings: Settings, upload: Upload, form: AvatarForm, remote: str) -> tuple[str, ...]:
    """The command line of the work. Reads the disk."""
    model = form.model or _model_of(settings, form.base_avatar_id)
    if model not in list_models(settings):
        known = ", ".join(list_models(settings))
        raise ApiError(400, "unknown_model", f"model: there is no {model!r}; known: {known}")
    named = f"--name={form.name}", f"--base-avatar-id={form.base_avatar_id}", f"--model={model}"
    by = f"{form.user_id} from {remote}" if form.user_id else remote
    return "build", *named, "--i-have-consent", f"--consent-by={by}", str(upload.path)


def _model_of(settings: Settings, base_avatar_id: str) -> str:
    if not base_avatar_id:
        return "portrait"
    try:
        return find_avatar(settings, base_avatar_id).manifest.model_type
    except AvatarError as error:
        raise ApiError(404, "avatar_not_found", f"base_avatar_id: {error}") from None


async def delete(request: web.Request) -> AvatarGone:
    """Away with it, at once. Sessions that show it go on to their end, and its files with the last of them; new ones do
    not find it."""
    require_own_page(request)
    settings, avatar_id = request.app[SETTINGS], request.match_info["avatar_id"]
    try:
        await asyncio.to_thread(leave, settings, avatar_id)
    except AvatarProtected as error:
        raise ApiError(403, "avatar_protected", str(error)) from None
    except AvatarNotFound as error:
        raise ApiError(404, "avatar_not_found", str(error)) from None
    log.info("avatar %s deleted by %s", avatar_id, request.remote)
    await finish_deletions(settings, request.app[STORE])
    return AvatarGone(avatar_id, "deleted")


async def prewarm(request: web.Request, body: PrewarmBody) -> Prewarm:
    """Make what a model keeps of an avatar, so that the first session does not wait for it."""
    settings, avatar_id = request.app[SETTINGS], request.match_info["avatar_id"]
    bundle = await asyncio.to_thread(_found, settings, avatar_id)
    model = body.model or bundle.manifest.model_type
    if model not in list_models(settings):
        raise ApiError(400, "unknown_model", f"model: there is no {model!r}; known: {', '.join(list_models(settings))}")
    builder = request.app[BUILDER]
    with builder.admitted():
        async with aclosing(builder.run("prewarm", f"--model={model}", bundle.id)) as steps:
            result = await _last(steps)
    if "error" in result:
        raise ApiError(500, "avatar_unusable", result["error"]["detail"])
    return Prewarm(bundle.id, model, "ready")


def _found(settings: Settings, avatar_id: str) -> Bundle:
    try:
        return find_avatar(settings, avatar_id)
    except AvatarNotFound as error:
        raise ApiError(404, "avatar_not_found", str(error)) from None
    except AvatarError as error:
        raise ApiError(500, "avatar_unusable", str(error)) from None


ROUTES = (
    Route(
        "POST",
        "/avatars/custom",
        custom,
        "Make an avatar of a photo (`image`) or a short video (`video` in its place); with Accept: text/event-stream, "
        "its progress as events. A picture that is refused is answered with a report, and nothing of it is kept",
        AvatarSummary,
        form=Form(AvatarForm, "image", instead="video"),
        errors=(400, 403, 404, 413, 415, 422, 500, 503, 504, 507),
    ),
    Route(
        "DELETE",
        "/avatars/{avatar_id}",
        delete,
        "Remove an avatar that was made; sessions that show it go on to their end",
        AvatarGone,
        errors=(403, 404),
    ),
    Route(
        "POST",
        "/avatars/{avatar_id}/prewarm",
        prewarm,
        "Prepare an avatar for a model",
        Prewarm,
        PrewarmBody,
        errors=(400, 404, 413, 415, 422, 500, 503, 504),
    ),
)

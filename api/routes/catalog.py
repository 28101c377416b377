"""What can be chosen: avatars, models, voices."""

from __future__ import annotations

import asyncio

from aiohttp import web

from api.context import SETTINGS, STORE
from api.errors import ApiError
from api.offers import model_statuses, voice_rows
from api.route import Query, Route
from api.schemas import AvatarSummary, ModelList, VoiceList
from opentalking.avatars import AvatarError, AvatarNotFound, Bundle, find_avatar, list_avatars
from opentalking.config import Settings
from opentalking.original import engine_named


async def avatars(request: web.Request) -> list[AvatarSummary]:
    bundles = await asyncio.to_thread(list_avatars, request.app[SETTINGS])
    return [summary(bundle) for bundle in bundles if not bundle.manifest.metadata.get("hidden")]


async def avatar(request: web.Request) -> AvatarSummary:
    return summary(await _find(request))


async def preview(request: web.Request) -> web.FileResponse:
    return web.FileResponse((await _find(request)).preview, headers={"Cache-Control": "no-cache"})


async def models(request: web.Request) -> ModelList:
    statuses = model_statuses(await request.app[STORE].workers(), request.app[SETTINGS])
    default = await asyncio.to_thread(default_model, request.app[SETTINGS], request)
    return ModelList([status.id for status in statuses], statuses, default)


async def voices(request: web.Request) -> VoiceList:
    return VoiceList(voice_rows(await request.app[STORE].workers(), engine_named(request.query.get("provider", ""))))


def default_model(settings: Settings, request: web.Request) -> str:
    """The setting, or what the default avatar names; empty if that avatar is broken. Reads the disk."""
    if settings.default_model:
        return settings.default_model
    try:
        return find_avatar(settings, settings.default_avatar).manifest.model_type
    except AvatarError:
        return ""


async def _find(request: web.Request) -> Bundle:
    try:
        return await asyncio.to_thread(find_avatar, request.app[SETTINGS], request.match_info["avatar_id"])
    except AvatarNotFound as error:
        raise ApiError(404, "avatar_not_found", str(error)) from None
    except AvatarError as error:
        raise ApiError(500, "avatar_unusable", str(error)) from None


def summary(bundle: Bundle) -> AvatarSummary:
    manifest = bundle.manifest
    return AvatarSummary(
        id=bundle.id,
        name=bundle.name,
        model_type=manifest.model_type,
        width=manifest.width,
        height=manifest.height,
        person_mode=str(manifest.metadata.get("person_mode", "single")),
        is_custom=bool(manifest.metadata.get("custom_avatar", False)),
        matting_status=str(manifest.metadata.get("matting_status", "unknown")),
    )


ROUTES = (
    Route("GET", "/avatars", avatars, "Avatars that can be chosen", list[AvatarSummary]),
    Route("GET", "/avatars/{avatar_id}", avatar, "One avatar", AvatarSummary, errors=(404, 500)),
    Route("GET", "/avatars/{avatar_id}/preview", preview, "Its picture", answer_type="image/png", errors=(404, 500)),
    Route("GET", "/models", models, "Models, and whether they can be used now", ModelList),
    Route("GET", "/voices", voices, "Voices", VoiceList, query=(Query("provider", "only this engine's"),)),
)

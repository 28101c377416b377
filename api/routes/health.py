"""How the server is: alive (for machines), in detail (for people and the page), and whether there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from api.context import ICE_SERVERS, OPENAPI, SETTINGS, STORE
from api.errors import ApiError
from api.offers import engines
from api.placement import place
from api.route import Route
from api.routes.catalog import default_model
from api.schemas import Alive, AvatarBytes, Health, LlmInfo, QueueStatus, WorkerInfo
from opentalking.config import Settings
from opentalking.store import WorkerBeat


async def healthz(request: web.Request) -> Alive:
    """Alive, and Redis answers."""
    await request.app[STORE].ping()
    return Alive()


async def health(request: web.Request) -> Health:
    settings, store = request.app[SETTINGS], request.app[STORE]
    workers = await store.workers()
    return Health(
        ready=_ready(workers),
        llm=_llm(settings, workers),
        tts=engines(workers, "tts"),
        stt=engines(workers, "stt"),
        default_model=await asyncio.to_thread(default_model, settings, request),
        default_avatar=settings.default_avatar,
        ice_servers=request.app[ICE_SERVERS],
        avatar_bytes=AvatarBytes(settings.max_avatar_image_bytes, settings.max_avatar_video_bytes),
        workers=[msgspec.convert(worker, WorkerInfo, from_attributes=True) for worker in workers],
    )


async def queue_status(request: web.Request) -> QueueStatus:
    store = request.app[STORE]
    workers, sessions = await asyncio.gather(store.workers(), store.list_sessions())
    try:
        place(workers, sessions, request.app[SETTINGS].max_sessions)
    except ApiError:
        return QueueStatus(slot_occupied=True, queue_size=0)
    return QueueStatus(slot_occupied=False, queue_size=0)


async def openapi(request: web.Request) -> web.Response:
    return web.Response(body=request.app[OPENAPI], content_type="application/json")


def _ready(workers: Sequence[WorkerBeat]) -> bool:
    try:
        place(workers, [], max_sessions=1)
    except ApiError:
        return False
    return True


def _llm(settings: Settings, workers: Sequence[WorkerBeat]) -> LlmInfo:
    """What a speech worker uses; until one runs, what the settings say."""
    for worker in workers:
        if worker.role == "speech" and isinstance(worker.info.get("llm"), dict):
            told = LlmInfo("openai", settings.llm_model, False, False)
            try:
                told = msgspec.convert(msgspec.structs.asdict(told) | worker.info["llm"], LlmInfo)
            except msgspec.ValidationError:
                continue
            return msgspec.structs.replace(told, base_url=_without_secrets(told.base_url))
    embedded = not settings.llm_base_url
    base_url = _without_secrets(settings.llm_base_url)
    return LlmInfo("openai", settings.llm_model, embedded, bool(settings.llm_api_key), base_url)


def _without_secrets(url: str | None) -> str | None:
    """The URL without user, password and query."""
    if not url:
        return None
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


ROUTES = (
    Route("GET", "/healthz", healthz, "Alive", Alive, errors=(503,)),
    Route("GET", "/health", health, "Providers, defaults and workers", Health),
    Route("GET", "/runtime/status", health, "Another name for /health", Health),
    Route("GET", "/queue/status", queue_status, "Whether a session would find room", QueueStatus),
    Route("GET", "/openapi.json", openapi, "This description", answer_type="application/json"),
)

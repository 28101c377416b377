"""The application: routes at the root and under /api, middleware around them, the janitor beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
from aiohttp import web

from api import context, middleware, openapi
from api.building import Builder
from api.ice import ice_servers
from api.instruments import Instruments
from api.janitor import Janitor
from api.routes import ROUTES, page
from api.tidying import keep_tidy
from opentalking.config import Settings
from opentalking.store import Store
from opentalking.store.events import PING_S

API_PREFIX = "/api"  # where the original's development server has the API
PICK_UP_S = 10.0


def create_app(settings: Settings, store: Store) -> web.Application:
    """The application on a connected Store; closing the Store is the caller's."""
    app = web.Application(
        client_max_size=settings.max_body_bytes,
        middlewares=[middleware.measure, middleware.errors, middleware.preflight],
    )
    app[context.SETTINGS] = settings
    app[context.STORE] = store
    app[context.INSTRUMENTS] = Instruments()
    app[context.ADMISSION] = asyncio.Lock()
    app[context.FOLLOWERS] = context.Followers()
    app[context.PING_S] = PING_S
    app[context.PICK_UP_S] = PICK_UP_S
    app[context.BUILDER] = Builder(settings)
    app[context.ICE_SERVERS] = ice_servers(settings)
    app[context.OPENAPI] = msgspec.json.encode(openapi.document(ROUTES))
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.serve())
        if route not in page.ROUTES:
            app.router.add_route(route.method, API_PREFIX + route.path, route.serve())
    app.on_response_prepare.append(middleware.add_headers)
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.append(_janitor)
    app.cleanup_ctx.append(_tidying)
    return app


async def _janitor(app: web.Application) -> AsyncIterator[None]:
    settings = app[context.SETTINGS]
    patience_s = max(settings.session_idle_timeout_s, settings.peer_grace_s)
    janitor = Janitor(app[context.STORE], patience_s, settings.shm_root)
    task = asyncio.create_task(janitor.run(), name="janitor")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _tidying(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_tidy(app[context.SETTINGS], app[context.STORE]), name="tidying")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _end_streams(app: web.Application) -> None:
    """Open event streams would hold the process up; their clients reconnect to the next one."""
    followers = app[context.FOLLOWERS]
    for task in tuple(followers):
        task.cancel()

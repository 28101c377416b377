"""For Prometheus."""

from __future__ import annotations

import asyncio

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.context import INSTRUMENTS, STORE
from api.route import Route


async def metrics(request: web.Request) -> web.Response:
    store = request.app[STORE]
    sessions, workers = await asyncio.gather(store.list_sessions(), store.workers())
    text = request.app[INSTRUMENTS].scrape(sessions, workers)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


ROUTES = (Route("GET", "/metrics", metrics, "Figures for Prometheus", answer_type="text/plain"),)

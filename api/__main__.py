"""`python -m api`: the API and the page, on uvloop."""

from __future__ import annotations

import logging

import uvloop
from aiohttp import web

from api.app import create_app
from opentalking.config import Settings, settings
from opentalking.store import Store

log = logging.getLogger("api")

DEFAULT_REDIS_PORT = 6379


def redis_url(chosen: Settings) -> str:
    """The setting, or where the embedded server listens by default."""
    return chosen.redis_url or f"redis://127.0.0.1:{chosen.redis_port or DEFAULT_REDIS_PORT}/0"


async def build(chosen: Settings) -> web.Application:
    store = await Store.connect(redis_url(chosen))
    app = create_app(chosen, store)

    async def close_store(_: web.Application) -> None:
        await store.close()

    app.on_cleanup.append(close_store)
    return app


def main() -> None:
    chosen = settings()
    logging.basicConfig(level=chosen.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    web.run_app(
        build(chosen),
        host=chosen.api_host,
        port=chosen.api_port,
        loop=uvloop.new_event_loop(),
        shutdown_timeout=chosen.drain_s,  # requests that are being answered; event streams end at once
        access_log=None,
        print=lambda _: log.info("listening on %s", chosen.public_base()),
    )


if __name__ == "__main__":
    main()

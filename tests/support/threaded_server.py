"""An HTTP server in a thread of its own, for clients that block the loop that they are used from."""

from __future__ import annotations

import asyncio
import threading

from aiohttp import web


class ThreadedServer:
    """Between `start` and `stop` it serves `routes`, or an `app`, on loopback, at `http://{address}`."""

    address = ""
    port = 0  # any free one, unless it is set before `start`

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def routes(self) -> list[web.RouteDef]:
        """What is served, unless `app` is overridden."""
        return []

    def app(self) -> web.Application:
        """Made on the server's own loop."""
        app = web.Application()
        app.add_routes(self.routes())
        return app

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        runner = web.AppRunner(self.app(), shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        self._loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", self.port).start())
        self.address = f"127.0.0.1:{runner.addresses[0][1]}"
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())

"""`python -m api` as a process: it starts, serves, and ends in time with streams open."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import aiohttp
import pytest

from opentalking.store import Store
from tests.redis_server import free_port
from tests.unit.store.sessions import SID, new_session


@pytest.mark.integration
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_serves_and_ends_although_a_stream_is_open(
    store: Store, redis_url: str, how: signal.Signals
) -> None:
    await store.create_session(new_session(created_at=time.time()))
    port = free_port()
    environ = os.environ | {"OPENTALKING_REDIS_URL": redis_url, "OPENTALKING_API_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", env=environ, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            async for line in process.stderr:
                if b"listening on" in line:
                    break
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with http.get("/healthz") as response:
                assert await response.json() == {"status": "ok"}
            async with http.get(f"/sessions/{SID}/events") as response:
                assert await response.content.readline() == b"retry: 1000\n"
                process.send_signal(how)
                rest = await asyncio.wait_for(process.stderr.read(), 10)
        assert await asyncio.wait_for(process.wait(), 10) == 0, rest.decode()
        assert b"Traceback" not in rest
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

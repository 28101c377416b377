"""Fixtures for all tests: a real Redis server a test session, and a Store on an empty database."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from api import context
from api.app import create_app
from opentalking.config import Settings
from opentalking.store import Store
from tests.api_client import API_SETTINGS, Api
from tests.redis_server import RedisServer

LONGEST_TEST_S = 300


@pytest.fixture(autouse=True)
def no_test_waits_for_ever() -> Iterator[None]:
    """What waits for something that never comes fails, instead of holding up all the others."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"this test took longer than {LONGEST_TEST_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LONGEST_TEST_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis server that this test session shares."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """A Store whose database was emptied."""
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    connected = await Store.connect(redis_url)
    yield connected
    await connected.close()


@pytest.fixture
def api_settings() -> Settings:
    """For tests that want the API otherwise."""
    return API_SETTINGS


@pytest.fixture
async def api(store: Store, tmp_path: Path, api_settings: Settings) -> AsyncIterator[Api]:
    """The API on a real socket, with the heartbeats of one node's three workers, and a run directory of its own."""
    app = create_app(msgspec.structs.replace(api_settings, run_dir=str(tmp_path / "run")), store)
    app[context.PING_S], app[context.PICK_UP_S] = 0.1, 0.2
    async with TestClient(TestServer(app)) as client:
        served = Api(client, store)
        await served.start_workers()
        yield served

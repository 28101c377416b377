"""The connection: bounded patience, and a lease that one process holds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop
from redis.asyncio import Redis

from opentalking.store import Store, StoreUnavailable, client
from tests.redis_server import RedisServer, free_port
from tests.unit.store.sessions import SID, new_session


async def test_no_server_is_said_after_the_patience_is_over() -> None:
    with pytest.raises(StoreUnavailable, match=r"Redis did not answer for 0\.1 s"):
        await Store.connect(f"redis://127.0.0.1:{free_port()}/0", patience_s=0.1)


async def test_a_store_waits_for_a_server_that_is_still_starting(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    connecting = asyncio.create_task(Store.connect(server.url, patience_s=10))
    await asyncio.sleep(0)
    await asyncio.to_thread(server.start)
    try:
        store = await connecting
        await store.ping()
        await store.close()
    finally:
        server.stop()


async def test_a_killed_connection_costs_a_call_nothing(store: Store, redis_url: str) -> None:
    await store.create_session(new_session())
    async with Redis.from_url(redis_url) as redis:
        await redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await store.next_generation(SID) == 1


async def test_a_server_that_stays_away_is_an_error_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RETRY_S", 0.1)
    server = RedisServer(tmp_path)
    server.start()
    store = await Store.connect(server.url)
    server.stop()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(store.next_generation(SID), 10)
    await store.close()


async def test_a_script_that_the_server_forgot_is_sent_again(store: Store, redis_url: str) -> None:
    await store.create_session(new_session())
    await store.next_generation(SID)
    async with Redis.from_url(redis_url) as redis:
        await redis.script_flush()
    assert await store.next_generation(SID) == 2


async def test_a_lease_has_one_holder_until_it_is_released(store: Store) -> None:
    assert await store.hold_lease("janitor", "api-1", 60)
    assert not await store.hold_lease("janitor", "api-2", 60)
    assert await store.hold_lease("janitor", "api-1", 60)
    await store.release_lease("janitor", "api-2")
    assert not await store.hold_lease("janitor", "api-2", 60)
    await store.release_lease("janitor", "api-1")
    assert await store.hold_lease("janitor", "api-2", 60)


async def test_a_lease_whose_holder_fell_silent_is_handed_on(store: Store, redis_url: str) -> None:
    assert await store.hold_lease("janitor", "api-1", 5)
    async with Redis.from_url(redis_url) as redis:
        assert 4000 < await redis.pttl("opentalking:lease:janitor") <= 5000
        await redis.delete("opentalking:lease:janitor")  # as its time to live would
    assert await store.hold_lease("janitor", "api-2", 5)


def test_a_cancelled_call_never_returns_as_if_nothing_had_been(redis_url: str) -> None:
    """On uvloop, as in the workers: there, redis-py drops the cancellation of a call that is just being sent."""

    async def cancelled_after(store: Store, steps: int) -> bool:
        call = asyncio.create_task(store._call("INCR", "cancelled"))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled()

    async def run() -> list[bool]:
        store = await Store.connect(redis_url)
        heeded = [await cancelled_after(store, steps) for steps in (0, 1, 2, 3) * 10]
        await store.close()
        return heeded

    assert all(uvloop.run(run()))


async def test_a_call_whose_time_is_up_raises_that_and_a_cleanup_after_a_cancellation_can_still_call(
    store: Store,
) -> None:
    async def cleans_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await store._call("SET", "cleaned", "up")
            await store._call("APPEND", "cleaned", " twice")

    task = asyncio.create_task(cleans_up())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await store._call("GET", "cleaned") == "up twice"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await store._call("GET", "cleaned")

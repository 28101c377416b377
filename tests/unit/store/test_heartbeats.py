"""Heartbeats: alive while someone says so."""

from __future__ import annotations

from redis.asyncio import Redis

from opentalking.store import Open, Store, role_of
from tests.unit.store.sessions import beat


async def test_a_heartbeat_reads_back_as_it_was_written(store: Store) -> None:
    written = beat("a:speech-1", sessions=2, info={"llm": {"model": "smollm2", "key_set": False}})
    await store.beat(written)
    assert await store.workers() == [written]


async def test_a_heartbeat_has_a_time_to_live_that_the_next_one_renews(store: Store, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await store.beat(beat("a:rtc-1"), ttl_s=3)
        assert 2000 < await redis.pttl("opentalking:worker:a:rtc-1") <= 3000
        await store.beat(beat("a:rtc-1"), ttl_s=60)
        assert await redis.pttl("opentalking:worker:a:rtc-1") > 3000


async def test_a_worker_without_a_heartbeat_is_silent_until_forgotten(store: Store, redis_url: str) -> None:
    await store.beat(beat("a:rtc-1"))
    await store.beat(beat("a:speech-1"))
    async with Redis.from_url(redis_url) as redis:
        await redis.delete("opentalking:worker:a:rtc-1")  # as its time to live would
    assert [worker.worker for worker in await store.workers()] == ["a:speech-1"]
    assert await store.silent_workers() == ["a:rtc-1"]
    await store.forget_worker("a:rtc-1")
    assert await store.silent_workers() == []


async def test_the_commands_of_a_forgotten_worker_expire_unless_it_is_sent_more(store: Store, redis_url: str) -> None:
    await store.send("a:rtc-1", Open("sess_1"))
    await store.forget_worker("a:rtc-1")
    async with Redis.from_url(redis_url) as redis:
        assert await redis.ttl("opentalking:commands:a:rtc-1") > 0
        await store.send("a:rtc-1", Open("sess_2"))
        assert await redis.ttl("opentalking:commands:a:rtc-1") == -1


def test_the_role_of_a_worker_is_in_its_name() -> None:
    assert role_of("node-a:with:colons:inference-12") == "inference"

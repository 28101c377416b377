"""Generations only grow, are announced as they grow, and can be raised by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from opentalking.store import Interrupt, Resync, Store, UnknownSession
from opentalking.store.interrupts import parse_interrupt
from tests.redis_server import RedisServer
from tests.unit.store.sessions import SID, new_session


async def test_a_generation_is_handed_out_once(store: Store) -> None:
    await store.create_session(new_session())
    generations = await asyncio.gather(*(store.next_generation(SID) for _ in range(20)))
    assert sorted(generations) == list(range(1, 21))
    assert await store.generation(SID) == 20


async def test_ending_one_generation_leaves_the_one_that_followed_it_alone(store: Store) -> None:
    await store.create_session(new_session())
    ended = await store.next_generation(SID)
    assert await store.next_generation(SID, only=ended) == ended + 1
    assert await store.next_generation(SID, only=ended) == ended + 1
    with pytest.raises(UnknownSession):
        await store.next_generation("sess_nope", only=1)


async def test_an_unknown_session_has_no_generation(store: Store) -> None:
    with pytest.raises(UnknownSession, match="session sess_nope not found"):
        await store.next_generation("sess_nope")
    with pytest.raises(UnknownSession, match="session sess_nope not found"):
        await store.generation("sess_nope")
    assert await store.session_hash("sess_nope") == {}


async def test_announcements_come_in_the_order_of_the_generations(store: Store) -> None:
    await store.create_session(new_session())
    interrupts = store.interrupts()
    assert await anext(interrupts) == Resync()
    await asyncio.gather(*(store.next_generation(SID) for _ in range(20)))
    assert [await anext(interrupts) for _ in range(20)] == [Interrupt(SID, n) for n in range(1, 21)]
    await interrupts.aclose()


@pytest.mark.parametrize(
    ("payload", "interrupt"),
    [
        (SID, Interrupt(SID, None)),
        (f"  {SID}\n", Interrupt(SID, None)),
        (f'{{"session_id": "{SID}"}}', Interrupt(SID, None)),
        (f'{{"session_id": "{SID}", "generation": 7, "by": "hand"}}', Interrupt(SID, 7)),
        (f'{{"session_id": "{SID}", "generation": {2**41}}}', None),
        (f'{{"session_id": "{SID}", "generation": -1}}', None),
        ("", None),
        ("two words", None),
        ('{"session": 1}', None),
        ('{"session_id": 5}', None),
        ("{", None),
    ],
)
def test_what_counts_as_an_interrupt(payload: str, interrupt: Interrupt | None) -> None:
    assert parse_interrupt(payload) == interrupt


async def test_a_publish_by_hand_arrives_and_nonsense_does_not(store: Store, redis_url: str) -> None:
    interrupts = store.interrupts()
    assert await anext(interrupts) == Resync()
    async with Redis.from_url(redis_url) as redis:
        await redis.execute_command("PUBLISH", "opentalking:interrupt", "what is this")
        await redis.execute_command("PUBLISH", "opentalking:interrupt", SID)
    assert await asyncio.wait_for(anext(interrupts), 5) == Interrupt(SID, None)
    await interrupts.aclose()


async def test_a_killed_subscription_comes_back_and_says_resync(store: Store, redis_url: str) -> None:
    await store.create_session(new_session())
    interrupts = store.interrupts()
    assert await anext(interrupts) == Resync()
    async with Redis.from_url(redis_url) as redis:
        assert await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert await asyncio.wait_for(anext(interrupts), 5) == Resync()
    await store.next_generation(SID)
    assert await asyncio.wait_for(anext(interrupts), 5) == Interrupt(SID, 1)
    await interrupts.aclose()


async def test_a_restarted_server_is_found_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    store = await Store.connect(server.url)
    try:
        await store.create_session(new_session())
        await store.next_generation(SID)
        interrupts = store.interrupts()
        assert await anext(interrupts) == Resync()
        server.stop()
        waiting = asyncio.create_task(anext(interrupts))
        call = asyncio.create_task(store.next_generation(SID))
        server.start()
        assert await asyncio.wait_for(call, 10) == 2
        assert await asyncio.wait_for(waiting, 10) == Resync()
        await interrupts.aclose()
    finally:
        await store.close()
        server.stop()


async def test_a_generation_announced_by_hand_is_reached_and_turns_follow_it(store: Store) -> None:
    await store.create_session(new_session())
    await store.next_generation(SID)
    await store.reach_generation(SID, 1000)
    assert await store.generation(SID) == 1000
    await store.reach_generation(SID, 7)
    assert await store.next_generation(SID) == 1001
    await store.reach_generation("sess_nope", 7)
    assert await store.session_hash("sess_nope") == {}

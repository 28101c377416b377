"""Events: order, replay, silence, and a follower that outlives its connection."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from opentalking.store import Event, Store
from tests.unit.store.sessions import SID, new_session


async def take(store: Store, count: int, last_id: str = "0") -> list[Event]:
    found: list[Event] = []
    async for event in store.events(SID, last_id, ping_s=5):
        assert event is not None, "silence instead of an event"
        found.append(event)
        if len(found) == count:
            break
    return found


async def test_events_arrive_in_order_with_ids_that_grow(store: Store) -> None:
    await store.create_session(new_session())
    ids = [await store.emit(SID, "llm", {"delta": str(n)}) for n in range(250)]
    events = await take(store, 250)
    assert [event.id for event in events] == ids
    assert [event.data for event in events] == [{"session_id": SID, "delta": str(n)} for n in range(250)]


async def test_a_follower_that_comes_back_gets_exactly_what_it_missed(store: Store) -> None:
    await store.create_session(new_session())
    for n in range(5):
        await store.emit(SID, "llm", {"delta": str(n)})
    seen = await take(store, 2)
    missed = await take(store, 3, last_id=seen[-1].id)
    assert [event.data["delta"] for event in missed] == ["2", "3", "4"]


async def test_an_event_wakes_a_waiting_follower(store: Store) -> None:
    await store.create_session(new_session())
    follower = asyncio.create_task(take(store, 1))
    await store.emit(SID, "status", {"stage": "thinking"})
    assert (await asyncio.wait_for(follower, 5))[0].event == "status"


async def test_silence_is_none(store: Store) -> None:
    async for event in store.events(SID, ping_s=0.01):
        assert event is None
        break


async def test_the_stream_of_a_session_stays_bounded(store: Store, redis_url: str) -> None:
    await store.create_session(new_session())
    for n in range(1500):
        await store.emit(SID, "llm", {"delta": str(n)})
    async with Redis.from_url(redis_url) as redis:
        assert 1000 <= await redis.xlen(f"opentalking:events:{SID}") < 1200


async def test_a_follower_outlives_its_connection_and_misses_nothing(store: Store, redis_url: str) -> None:
    await store.create_session(new_session())
    events = store.events(SID, ping_s=30)
    await store.emit(SID, "llm", {"delta": "before"})
    assert (await anext(events)).data["delta"] == "before"  # type: ignore[union-attr]
    waiting = asyncio.create_task(anext(events))
    async with Redis.from_url(redis_url) as redis:
        blocked: list[dict[str, str]] = []
        while not blocked:
            blocked = [c for c in await redis.client_list() if c["cmd"] == "xread" and "b" in c["flags"]]
        await redis.client_kill_filter(_id=blocked[0]["id"])
        await store.emit(SID, "llm", {"delta": "after"})
    event = await asyncio.wait_for(waiting, 5)
    assert event is not None and event.data["delta"] == "after"
    await events.aclose()

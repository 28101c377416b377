"""Commands: first in, first out, once handled gone, and otherwise the next incarnation's."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from opentalking.store import Chat, ChooseVoice, Close, Command, Offer, Open, ShowAvatar, Speak, Store, SwitchAvatar
from tests.unit.store.sessions import SID

WORKER = "a:speech-1"
ALL: list[Command] = [
    Open(SID),
    Speak(SID, 1, "Hello.", 5.5, tts_voice="joe"),
    Chat(SID, 2, "Who are you?", 6.5),
    Offer(SID, "r1", "v=0", "offer", 7.5),
    SwitchAvatar(SID, 1, "drawn", "portrait"),
    ShowAvatar(SID, 1, "drawn", "portrait", 512, 640, "/cache/drawn.i420"),
    ChooseVoice(SID),
    Close(SID, "client"),
]


async def take(store: Store, count: int) -> list[tuple[str, Command]]:
    found = []
    async for entry in store.commands(WORKER):
        found.append(entry)
        if len(found) == count:
            break
    return found


async def test_every_command_survives_the_crossing(store: Store) -> None:
    for command in ALL:
        await store.send(WORKER, command)
    assert [command for _, command in await take(store, len(ALL))] == ALL


async def test_commands_are_handled_first_in_first_out(store: Store) -> None:
    sent = [Speak(SID, n, f"line {n}", 0.0) for n in range(300)]
    for command in sent[:150]:
        await store.send(WORKER, command)
    reader = asyncio.create_task(take(store, 300))
    for command in sent[150:]:
        await store.send(WORKER, command)
    assert [command for _, command in await asyncio.wait_for(reader, 10)] == sent


async def test_what_a_dead_incarnation_left_comes_first_to_the_next(store: Store) -> None:
    for n in range(4):
        await store.send(WORKER, Speak(SID, n, "line", 0.0))
    entry_id, _ = (await take(store, 2))[0]  # both were read, only the first was handled
    await store.done(WORKER, entry_id)
    await store.send(WORKER, Close(SID, "client"))
    again = [command for _, command in await take(store, 4)]
    assert again == [*(Speak(SID, n, "line", 0.0) for n in (1, 2, 3)), Close(SID, "client")]


async def test_a_worker_reads_only_its_own_commands(store: Store) -> None:
    await store.send("a:speech-2", Open("sess_other"))
    await store.send(WORKER, Open(SID))
    assert [command for _, command in await take(store, 1)] == [Open(SID)]


async def test_a_command_that_cannot_be_read_does_not_block_the_rest(store: Store, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.xadd(f"opentalking:commands:{WORKER}", {"command": '{"cmd":"dance"}'})
        await redis.xadd(f"opentalking:commands:{WORKER}", {"nonsense": "1"})
        await store.send(WORKER, Open(SID))
        assert [command for _, command in await take(store, 1)] == [Open(SID)]
        assert await redis.xlen(f"opentalking:commands:{WORKER}") == 1


async def test_a_reply_reaches_who_waits_for_it(store: Store) -> None:
    waiting = asyncio.create_task(store.wait_reply("r1", 5))
    await store.reply("r2", {"sdp": "not yours"})
    await store.reply("r1", {"sdp": "v=0", "type": "answer"})
    assert await waiting == {"sdp": "v=0", "type": "answer"}


async def test_a_reply_that_came_first_is_found_and_one_nobody_fetches_expires(store: Store, redis_url: str) -> None:
    await store.reply("r1", {"n": 1})
    async with Redis.from_url(redis_url) as redis:
        assert 0 < await redis.ttl("opentalking:reply:r1") <= 30
    assert await store.wait_reply("r1", 1) == {"n": 1}


async def test_no_reply_is_none_no_sooner_than_asked(store: Store) -> None:
    started = time.monotonic()
    assert await store.wait_reply("r1", 0.05) is None
    assert time.monotonic() - started >= 0.05


async def test_a_wait_for_a_reply_can_be_cancelled_and_the_store_still_works(store: Store) -> None:
    waiting = asyncio.create_task(store.wait_reply("r1", 60))
    await store.ping()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await store.reply("r1", {"n": 2})
    assert await store.wait_reply("r1", 1) == {"n": 2}

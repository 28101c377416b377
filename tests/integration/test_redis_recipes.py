"""The commands of docs/redis.md, run as they are printed."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from opentalking.store import Interrupt, NewSession, Resync, Speak, Store, WorkerBeat
from tests.support.client import Client
from tests.support.node import Node

PAGE = Path(__file__).parents[2] / "docs" / "redis.md"
SID, NODE = "sess_0f3c9a71be22", "studio-1"
RECIPES = [
    line for block in re.findall(r"```redis\n(.*?)```", PAGE.read_text(), re.DOTALL) for line in block.split("\n")
]
RECIPES = [line for line in RECIPES if line]


@pytest.fixture
async def redis(store: Store, redis_url: str) -> Any:
    """A connection beside a session, its events, a worker and a command: what the page speaks of."""
    workers = {f"{role}_worker": f"{NODE}:{role}-1" for role in ("speech", "inference", "rtc")}
    await store.create_session(
        NewSession(session_id=SID, avatar_id="presenter", model="portrait", node=NODE, width=512, height=512, **workers)
    )
    await store.set_state(SID, "speaking")
    await store.set_idle_clip(SID, "clip")
    await store.beat(
        WorkerBeat(worker=f"{NODE}:rtc-1", role="rtc", node=NODE, pid=1, incarnation="i", started_at=1.0), 60
    )
    await store.send(f"{NODE}:speech-1", Speak(SID, 1, "Hello.", 0.0))
    async with Redis.from_url(redis_url, decode_responses=True, protocol=2) as connection:
        yield connection


async def test_the_hash_in_redis_is_what_the_api_shows(node: Node) -> None:
    async with Client(node.base) as client:
        session_id = await client.create()
        shown = await client.call("GET", "")
        assert shown.pop("history") == "[]"
        assert node.redis().hgetall(f"opentalking:session:{session_id}") == shown


async def run(redis: Any, recipe: str) -> Any:
    return await redis.execute_command(*shlex.split(recipe))


def test_the_page_has_recipes_for_what_it_promises() -> None:
    verbs = {recipe.split()[0] for recipe in RECIPES}
    assert {"ZRANGE", "HGETALL", "XREAD", "XRANGE", "PUBLISH", "PTTL"} <= verbs


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.split()[0] not in ("XREAD", "PUBLISH")])
async def test_a_recipe_shows_something(redis: Any, recipe: str) -> None:
    answer = await run(redis, recipe)
    assert answer > 0 if isinstance(answer, int) else answer, recipe


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.startswith("XREAD")])
async def test_following_shows_the_next_event(redis: Any, store: Store, recipe: str) -> None:
    following = asyncio.create_task(run(redis, recipe))
    while not following.done():  # `$` means from now on, and when the server began to wait is its own affair
        await store.emit(SID, "status", {"stage": "thinking"})
    ((stream, entries),) = await following
    assert stream == f"opentalking:events:{SID}"
    assert entries[0][1]["event"] == "status"


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.startswith("PUBLISH")])
async def test_a_publish_interrupts(redis: Any, store: Store, recipe: str) -> None:
    interrupts = store.interrupts()
    assert await anext(interrupts) == Resync()
    assert await run(redis, recipe) == 1
    assert await anext(interrupts) == Interrupt(SID, None)
    await interrupts.aclose()


async def test_the_hash_on_the_page_has_the_fields_of_a_real_one(redis: Any, store: Store) -> None:
    shown = PAGE.read_text().split("> HGETALL", 1)[1].split("```", 1)[0]
    for name in await store.session_hash(SID):
        assert re.search(rf"^(?:.*, )?{name}\b", shown, re.MULTILINE), f"{name} is not on the page"

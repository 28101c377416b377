"""Several users at once, each with a tone of their own: nobody hears another's, nobody's stop stops another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.integration.tones import MS_PER_CHARACTER, duration_ms, eventually, level, spoken
from tests.support.client import Client
from tests.support.node import Node

pytestmark = pytest.mark.integration

PITCHES = [440, 660, 880, 1100]


@asynccontextmanager
async def users(node: Node, count: int) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(node.base)) for _ in range(count)]
        await asyncio.gather(*(client.create() for client in clients))
        await asyncio.gather(*(client.connect() for client in clients))
        yield clients


@pytest.mark.parametrize("count", [2, 4])
async def test_everybody_hears_the_own_tone_and_no_other(node: Node, count: int) -> None:
    texts = [f"[{pitch}] Hello there. [{pitch}] Can you hear me now?" for pitch in PITCHES[:count]]
    async with users(node, count) as clients:
        turns = [client.call("POST", "/speak", {"text": text}) for client, text in zip(clients, texts, strict=True)]
        await asyncio.gather(*turns)
        ended = await asyncio.gather(*(client.events.wait("speech.ended") for client in clients))
        assert [one["text"] for one in ended] == texts
        await asyncio.gather(*(client.receiver.hear_more(200) for client in clients))
        for client, text, own in zip(clients, texts, PITCHES, strict=False):
            heard = client.receiver.samples()
            assert abs(duration_ms(heard, own) - len(text) * MS_PER_CHARACTER) < 200
            assert max(level(heard, other).max() for other in PITCHES if other != own) < 1200


async def test_one_interruption_silences_one_session(node: Node) -> None:
    async with users(node, 2) as (one, other):
        text = "[880] This one is not to be disturbed by anybody at all."
        await one.call("POST", "/speak", {"text": spoken(440)})
        await other.call("POST", "/speak", {"text": text})
        await one.receiver.until(lambda: duration_ms(one.receiver.samples(), 440) > 300)
        await one.call("POST", "/interrupt")
        assert (await one.events.wait("speech.ended"))["interrupted"] is True
        ended = await other.events.wait("speech.ended")
        assert (ended["text"], ended["interrupted"]) == (text, False)
        await other.receiver.hear_more(200)
        assert abs(duration_ms(other.receiver.samples(), 880) - len(text) * MS_PER_CHARACTER) < 100


async def test_sessions_that_come_and_go_leave_no_shared_memory(node: Node) -> None:
    async with users(node, 3) as clients:
        folders = [node.shm / client.session_id for client in clients]
        assert all(folder.is_dir() for folder in folders)
        await asyncio.gather(*(client.call("POST", "/speak", {"text": spoken(440)}) for client in clients))
        await asyncio.gather(*(client.events.wait("speech.media_started") for client in clients))
        await asyncio.gather(*(client.call("DELETE", "") for client in clients))
        await eventually(lambda: not any(folder.exists() for folder in folders), "their folders are gone")

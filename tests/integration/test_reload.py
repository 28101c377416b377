"""A browser that goes and comes back, and one that does not: the session waits for it, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import TONES, running
from tests.integration.tones import duration_ms, eventually, is_silent, spoken
from tests.support.client import Client
from tests.support.node import Node

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def impatient(models: Path) -> Iterator[Node]:
    """A node that waits a second for a lost browser and three for the first."""
    patience = {"OPENTALKING_PEER_GRACE_S": "1", "OPENTALKING_SESSION_IDLE_TIMEOUT_S": "3"}
    yield from running(Node(cache=models, **TONES, **patience))


async def test_a_reloaded_page_goes_on_with_the_same_session(client: Client) -> None:
    await client.call("POST", "/speak", {"text": spoken(440)})
    await client.receiver.until(lambda: duration_ms(client.receiver.samples(), 440) > 200)
    await client.receiver.close()
    await client.events.wait("session.peer", lambda data: data["state"] == "lost")
    await client.reconnect()
    assert (await client.events.wait("speech.ended"))["interrupted"] is True
    await client.call("POST", "/speak", {"text": "[880] Here I am again."})
    await client.events.wait("speech.ended", lambda data: not data["interrupted"])
    await client.receiver.hear_more(200)
    assert duration_ms(client.receiver.samples(), 880) > 1000
    assert duration_ms(client.receiver.samples(), 440) == 0


async def test_a_second_offer_takes_over_from_the_first_and_speech_goes_on_there(client: Client) -> None:
    """A page whose connection broke without a word: the old one is still there when the new one comes."""
    turn = await client.call("POST", "/speak", {"text": spoken(440, sentences=3)})
    await client.receiver.until(lambda: duration_ms(client.receiver.samples(), 440) > 200)
    old = client.receiver
    client.receiver = type(old)()
    await client.connect()
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is False
    assert duration_ms(client.receiver.samples(), 440) > 3000
    await old.close()
    assert (await client.call("GET", ""))["peer"] == "connected"


async def test_ten_reloads_in_a_row_leave_one_connection_that_works(client: Client) -> None:
    for _ in range(10):
        await client.reconnect()
    await client.call("POST", "/speak", {"text": "[880] Still here."})
    assert (await client.events.wait("speech.ended"))["interrupted"] is False
    await client.receiver.hear_more(100)
    assert duration_ms(client.receiver.samples(), 880) > 700


async def test_a_session_to_which_no_browser_comes_ends(impatient: Node) -> None:
    async with Client(impatient.base) as client:
        session_id = await client.create()
        assert (await client.events.wait("session.terminated"))["reason"] == "no_peer"
        shown = await client.call("GET", "")
        assert (shown["state"], shown["ended_reason"]) == ("closed", "no_peer")
        await eventually(lambda: not (impatient.shm / session_id).exists(), "its shared memory is gone")


async def test_a_session_whose_browser_stays_away_ends_after_the_grace_and_one_that_returns_lives_on(
    impatient: Node,
) -> None:
    async with Client(impatient.base) as leaves, Client(impatient.base) as returns:
        for client in (leaves, returns):
            await client.create()
            await client.connect()
        await asyncio.gather(leaves.receiver.close(), returns.reconnect())
        assert (await leaves.events.wait("session.terminated"))["reason"] == "peer_gone"
        await returns.receiver.hear_more(1500)  # longer than the grace
        assert (await returns.call("GET", ""))["state"] == "ready"
        assert is_silent(returns.receiver.samples())


async def test_down_leaves_no_process_no_memory_and_no_socket(models: Path) -> None:
    node = Node(cache=models, **TONES)
    async with node:
        processes = list(node.processes().values())
        socket = node.run_dir / "supervisor.sock"
        assert socket.exists() and node.shm.is_dir()
        assert len(processes) == 4
        async with Client(node.base) as client:
            await client.create()
            await client.connect()
            await client.call("POST", "/speak", {"text": spoken(440)})
            await client.events.wait("speech.media_started")
            code, output = await node.cli("down")
            assert code == 0, output
            client.session_id = ""  # there is nobody left to end it
            await client.events.close()
    assert not any(process.is_running() for process in processes)
    assert not node.shm.exists()
    assert not socket.exists()

"""Processes that die: killed, stopped, or asked to go. Nobody else notices, nobody stays 'speaking', nothing is left.

The node has two workers of each role, so that of two sessions each has three workers of its own.
"""

from __future__ import annotations

import signal
import xmlrpc.client
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from supervisor.xmlrpc import SupervisorTransport

from tests.integration.conftest import TONES, running
from tests.integration.tones import duration_ms, eventually, sounds, spoken
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import Node

pytestmark = pytest.mark.integration

ROLES = ["speech", "inference", "rtc"]


@pytest.fixture(scope="module")
def pair(models: Path) -> Iterator[Node]:
    doubled = {f"OPENTALKING_{role.upper()}_WORKERS": "2" for role in ROLES}
    yield from running(Node(cache=models, **TONES, **doubled))


@pytest.fixture
async def hurt(pair: Node) -> AsyncIterator[Client]:
    async with Client(pair.base) as client:
        await client.create()
        await client.connect()
        yield client


@pytest.fixture
async def other(pair: Node, hurt: Client) -> AsyncIterator[Client]:
    async with Client(pair.base) as client:
        await client.create()
        await client.connect()
        yield client


async def worker_of(client: Client, role: str) -> str:
    """`speech-1` of `test-4711:speech-1`."""
    return str((await client.call("GET", ""))[f"{role}_worker"]).rpartition(":")[2]


async def speaks(client: Client, hertz: int) -> dict[str, Any]:
    """A long turn that is being heard."""
    turn: dict[str, Any] = await client.call("POST", "/speak", {"text": spoken(hertz, sentences=12)})
    before = duration_ms(client.receiver.samples(), hertz)
    await client.receiver.until(lambda: duration_ms(client.receiver.samples(), hertz) > before + 300)
    return turn


async def speaks_again(client: Client) -> None:
    turn = await client.call("POST", "/speak", {"text": "[660] Here I am again."})
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is False
    await client.receiver.hear_more(200)
    assert duration_ms(client.receiver.samples(), 660) > 1000
    assert (await client.call("GET", ""))["state"] == "ready"


def longest_gap_ms(samples: np.ndarray, hertz: int) -> int:
    """Between two windows in which the tone is heard."""
    return int(np.diff(sounds(samples, hertz)).max() - 1) * 20


class Supervisor:
    """What supervisorctl would do, by the socket in the run directory."""

    def __init__(self, node: Node) -> None:
        transport = SupervisorTransport(None, None, f"unix://{node.run_dir / 'supervisor.sock'}")
        self._proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

    def stop(self, name: str) -> None:
        self._proxy.supervisor.stopProcess(f"stages:{name}")

    def start(self, name: str) -> None:
        self._proxy.supervisor.startProcess(f"stages:{name}")


@pytest.mark.parametrize("role", ROLES)
async def test_a_killed_worker_hurts_its_own_session_alone_and_that_one_recovers(
    pair: Node, hurt: Client, other: Client, role: str
) -> None:
    assert await worker_of(hurt, role) != await worker_of(other, role)
    lost, whole = await speaks(hurt, 440), await speaks(other, 880)
    pair.processes()[await worker_of(hurt, role)].kill()
    error = await hurt.events.wait("error")
    assert error["code"] == "WORKER_RESTARTED"
    ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == lost["generation"])
    assert ended["interrupted"] is True
    await hurt.events.wait("session.state_changed", lambda data: data["old_state"] == "speaking")
    if role == "rtc":
        assert (await hurt.events.wait("session.peer", lambda data: data["state"] == "lost"))["session_id"]
        await hurt.reconnect()
    await speaks_again(hurt)
    assert (await other.call("GET", ""))["state"] == "speaking"
    await other.call("POST", "/interrupt")
    ended = await other.events.wait("speech.ended", lambda data: data["generation"] == whole["generation"])
    assert spoken(880, sentences=12).startswith(ended["text"])
    assert "error" not in other.events.names()
    assert longest_gap_ms(other.receiver.samples(), 880) <= 20  # sentences fade at their edges


@pytest.mark.parametrize("role", ["speech", "inference"])
async def test_a_worker_killed_before_its_turn_sounds_leaves_nobody_waiting(
    pair: Node, hurt: Client, llm: LLMServer, role: str
) -> None:
    llm.delay_s = 60
    turn = await hurt.call("POST", "/chat", {"prompt": "Think."})
    await eventually(lambda: len(llm.requests) == 1, "the request reaches the model")
    pair.processes()[await worker_of(hurt, role)].kill()
    ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is True
    await eventually(lambda: llm.cancelled == 1, "the model sees its request closed")
    await speaks_again(hurt)


@pytest.mark.parametrize("role", ROLES)
async def test_a_worker_that_stays_away_ends_its_session_with_that_reason(
    pair: Node, hurt: Client, other: Client, role: str
) -> None:
    name, supervisor = await worker_of(hurt, role), Supervisor(pair)
    await speaks(hurt, 440)
    supervisor.stop(name)
    try:
        assert (await hurt.events.wait("session.terminated"))["reason"] == f"worker_lost:{role}"
        shown = await hurt.call("GET", "")
        assert (shown["state"], shown["ended_reason"]) == ("error", f"worker_lost:{role}")
        folder = pair.shm / hurt.session_id
        await eventually(lambda: not folder.exists(), "its shared memory is gone")
        await speaks_again(other)
    finally:
        supervisor.start(name)
    code, output = await pair.cli("status", "--wait", "60")
    assert code == 0, output


async def test_a_speech_worker_that_is_told_to_go_finishes_what_it_is_saying_and_its_session_lives_on(
    pair: Node, hurt: Client
) -> None:
    text = "[440] This sentence is said to its end."
    await hurt.call("POST", "/speak", {"text": text})
    await hurt.events.wait("speech.media_started")
    pair.processes()[await worker_of(hurt, "speech")].send_signal(signal.SIGTERM)
    ended = await hurt.events.wait("speech.ended")
    assert (ended["text"], ended["interrupted"]) == (text, False)
    await speaks_again(hurt)


async def test_a_speech_worker_that_is_told_to_go_does_not_talk_for_ever(pair: Node, hurt: Client) -> None:
    turn = await speaks(hurt, 440)
    pair.processes()[await worker_of(hurt, "speech")].send_signal(signal.SIGTERM)
    ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is True
    assert ended["text"] and spoken(440, sentences=12).startswith(ended["text"])
    await speaks_again(hurt)


async def test_when_redis_is_killed_the_sound_goes_on_and_the_sessions_are_there_again(
    pair: Node, hurt: Client
) -> None:
    await speaks(hurt, 440)
    pid = hurt_redis(pair)
    pid.kill()
    await hurt.receiver.hear_more(3000)
    assert longest_gap_ms(hurt.receiver.samples(), 440) <= 20
    await eventually(lambda: hurt_redis(pair, default=pid) != pid, "Redis is back")
    await hurt.call("POST", "/interrupt")
    assert (await hurt.events.wait("speech.ended"))["interrupted"] is True
    await speaks_again(hurt)
    async with Client(pair.base) as late:
        await late.create()
        await late.connect()
        await speaks_again(late)


async def test_sessions_that_redis_has_forgotten_are_let_go(pair: Node, hurt: Client) -> None:
    """As when a Redis without persistence was restarted."""
    await speaks(hurt, 440)
    folder = pair.shm / hurt.session_id
    pair.redis().flushdb()
    await eventually(lambda: not folder.exists(), "its shared memory is gone", timeout_s=40)
    await eventually(lambda: hurt.receiver.connection.connectionState == "closed", "its connection is closed")
    async with Client(pair.base) as late:
        await eventually_ready(pair)
        await late.create()
        await late.connect()
        await speaks_again(late)


def hurt_redis(node: Node, default: Any = None) -> Any:
    """The node's Redis server."""
    parent = next(iter(node.processes().values())).parent()
    assert parent is not None
    return next((child for child in parent.children() if "valkey" in child.name()), default)


async def eventually_ready(node: Node) -> None:
    code, output = await node.cli("status", "--wait", "60")
    assert code == 0, output

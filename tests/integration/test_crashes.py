"""Processes that die: killed, stopped, or asked to go. Nobody else notices, nobody stays 'speaking', nothing is left.

The node has two workers of each role, so that of two sessions each has three workers of its own.
"""

from __future__ import annotations

import pytest

from tests.integration.crashing import (
    ROLES,
    Supervisor,
    speaks,
    speaks_again,
    worker_of,
)
from tests.integration.tones import eventually
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import Node

pytestmark = pytest.mark.integration


async def test_a_speech_worker_killed_before_its_turn_sounds_leaves_nobody_waiting(
    pair: Node, hurt: Client, llm: LLMServer
) -> None:
    llm.delay_s = 60
    turn = await hurt.call("POST", "/chat", {"prompt": "Think."})
    await eventually(lambda: len(llm.requests) == 1, "the request reaches the model")
    pair.processes()[await worker_of(hurt, "speech")].kill()
    assert (await hurt.events.wait("error"))["code"] == "WORKER_RESTARTED"
    ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is True
    await eventually(lambda: llm.cancelled == 1, "the model sees its request closed")
    await speaks_again(hurt)


async def test_an_inference_worker_killed_before_its_turn_sounds_loses_nothing_of_it(
    pair: Node, hurt: Client, llm: LLMServer
) -> None:
    name, supervisor = await worker_of(hurt, "inference"), Supervisor(pair)
    llm.delay_s, llm.reply = 1.0, "[440] It was nothing."
    turn = await hurt.call("POST", "/chat", {"prompt": "Think."})
    await eventually(lambda: len(llm.requests) == 1, "the request reaches the model")
    pair.processes()[name].kill()
    ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert (ended["text"], ended["interrupted"]) == (llm.reply, False)
    assert "error" not in hurt.events.names()
    await eventually(lambda: name in supervisor.running(), "supervisord has it back")


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


async def eventually_ready(node: Node) -> None:
    code, output = await node.cli("status", "--wait", "60")
    assert code == 0, output

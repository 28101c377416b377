"""kill -9 of each process, while the hurt session is idle and while it speaks, and another session speaks.

    what                others                     the hurt session                    supervisord   left behind
    api                 lose nothing               loses nothing, events go on         has it back   nothing
    speech, inference   lose nothing               the turn ends, typed; speaks again  has it back   nothing
    rtc                 lose nothing               the same, over a new connection     has it back   nothing
    redis               lose nothing               loses nothing                       has it back   nothing
    llm                 (one worker of each role)  the turn ends, typed; speaks again  has it back   nothing

How long it takes is the bench's matter (tests/bench/crashes.py); docs/crashes.md is the table with figures.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from tests.integration.conftest import TONES, running
from tests.integration.crashing import (
    ROLES,
    Supervisor,
    is_undisturbed,
    longest_gap_ms,
    process_of,
    speaks,
    speaks_again,
    worker_of,
)
from tests.integration.tones import duration_ms, eventually, spoken
from tests.support.client import Client, Events
from tests.support.llm_server import LLMServer
from tests.support.node import Node

pytestmark = pytest.mark.integration

State = Literal["idle", "speaking"]
STATES: list[State] = ["idle", "speaking"]


@dataclass(frozen=True)
class Traces:
    """What a node has outside its processes, its sessions aside."""

    memory: frozenset[str]
    files: frozenset[str]
    keys: frozenset[str]
    listening: int

    @classmethod
    def of(cls, node: Node) -> Traces:
        redis = node.redis()
        names = {str(key) for key in redis.keys("*") if redis.ttl(key) == -1}
        waiting = {f"{name} with commands" for name in names if "commands:" in name and redis.xlen(name)}
        redis.close()
        pids = [process.pid for process in node.processes().values()]
        sockets = [
            one for one in psutil.net_connections("inet") if one.pid in pids and one.status in ("LISTEN", "NONE")
        ]
        return cls(
            memory=frozenset(str(path.relative_to(node.shm)) for path in node.shm.rglob("*")),
            files=frozenset(path.name for path in node.run_dir.iterdir()),
            keys=frozenset(name for name in names if "commands:" not in name) | waiting,  # empty ones are no trace
            listening=len(sockets),
        )


@pytest.fixture
async def nothing_left(pair: Node) -> AsyncIterator[None]:
    """After the sessions of a test are closed, the node is as it was before they began."""
    before = Traces.of(pair)
    yield
    await eventually(lambda: Traces.of(pair) == before, f"everything is as it was: {before}")
    assert Traces.of(pair) == before


@dataclass(frozen=True)
class Death:
    """When which process was killed."""

    pid: int
    at: float


def kill(node: Node, name: str) -> Death:
    process = process_of(node, name)
    at = time.time()
    process.kill()
    return Death(process.pid, at)


async def is_back(node: Node, name: str, death: Death) -> None:
    def running_anew() -> bool:
        return Supervisor(node).running().get(name, death.pid) != death.pid

    await eventually(running_anew, f"supervisord has {name} back")


async def lost_nothing(client: Client, turn: dict[str, Any], hertz: int, since: float) -> None:
    """The turn is still spoken, without a hole in sound or picture, and ends when it is told to."""
    assert (await client.call("GET", ""))["state"] == "speaking"
    await is_undisturbed(client.receiver, since)
    await client.call("POST", "/interrupt")
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert spoken(hertz, sentences=12).startswith(ended["text"])
    assert "error" not in client.events.names()
    assert longest_gap_ms(client.receiver.samples(), hertz) <= 20  # sentences fade at their edges


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("role", ROLES)
async def test_a_killed_worker_hurts_its_own_session_alone_and_that_one_recovers(
    pair: Node, nothing_left: None, hurt: Client, other: Client, role: str, state: State
) -> None:
    name = await worker_of(hurt, role)
    assert name != await worker_of(other, role)
    lost = await speaks(hurt, 440) if state == "speaking" else None
    whole = await speaks(other, 880)
    death = kill(pair, name)
    if lost is not None:
        assert (await hurt.events.wait("error"))["code"] == "WORKER_RESTARTED"
        ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == lost["generation"])
        assert ended["interrupted"] is True
        assert spoken(440, sentences=12).startswith(ended["text"])
        await hurt.events.wait("session.state_changed", lambda data: data["old_state"] == "speaking")
    if role == "rtc":
        assert (await hurt.events.wait("session.peer", lambda data: data["state"] == "lost"))["session_id"]
        await hurt.reconnect()
    await speaks_again(hurt)
    assert hurt.events.names().count("error") == (1 if lost else 0)
    await lost_nothing(other, whole, 880, death.at)
    await is_back(pair, name, death)


@pytest.mark.parametrize("state", STATES)
async def test_when_the_api_is_killed_nobody_notices_and_no_event_is_missed(
    pair: Node, nothing_left: None, hurt: Client, other: Client, state: State
) -> None:
    turn = await speaks(hurt, 440) if state == "speaking" else None
    whole = await speaks(other, 880)
    death = kill(pair, "api")
    await other.receiver.hear_more(1000)
    for client in (hurt, other):
        await follow_again(client)
    await is_back(pair, "api", death)
    if turn is not None:
        await lost_nothing(hurt, turn, 440, death.at)
    await speaks_again(hurt)
    await lost_nothing(other, whole, 880, death.at)
    for client in (hurt, other):
        ids = [tuple(map(int, id_.split("-"))) for id_, _, _ in client.events.seen]
        assert ids == sorted(set(ids)), "each event once and in order"


async def follow_again(client: Client) -> None:
    """As a browser does: connect until somebody answers, from the last event that came."""
    before = client.events
    await before.close()
    url = f"{client.base}/sessions/{client.session_id}/events"
    while True:
        client.events = Events(client.http, url, before.seen[-1][0])
        client.events.seen += before.seen
        await asyncio.wait([client.events._task], timeout=0.2)
        if not client.events._task.done():
            return


@pytest.mark.parametrize("state", STATES)
async def test_when_redis_is_killed_the_sound_goes_on_and_the_sessions_are_there_again(
    pair: Node, nothing_left: None, hurt: Client, other: Client, state: State
) -> None:
    turn = await speaks(hurt, 440) if state == "speaking" else None
    whole = await speaks(other, 880)
    death = kill(pair, "redis")
    await other.receiver.hear_more(3000)
    await is_back(pair, "redis", death)
    if turn is not None:
        await lost_nothing(hurt, turn, 440, death.at)
    await speaks_again(hurt)
    await lost_nothing(other, whole, 880, death.at)
    async with Client(pair.base) as late:
        await late.create()
        await late.connect()
        await speaks_again(late)


async def test_while_redis_stands_still_the_sound_goes_on_and_what_was_asked_meanwhile_is_done_once(
    pair: Node, nothing_left: None, hurt: Client, other: Client
) -> None:
    turn, whole, since = await speaks(hurt, 440), await speaks(other, 880), time.time()
    server = process_of(pair, "redis")
    server.send_signal(signal.SIGSTOP)
    try:
        asked = asyncio.create_task(hurt.call("POST", "/speak", {"text": "[660] This is said only once."}))
        await other.receiver.hear_more(2000)
        assert not asked.done()
    finally:
        server.send_signal(signal.SIGCONT)
    answer = await asked
    await hurt.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == answer["generation"])
    assert (ended["text"], ended["interrupted"]) == ("[660] This is said only once.", False)
    await hurt.receiver.hear_more(1000)
    assert abs(duration_ms(hurt.receiver.samples(), 660) - 60 * len(ended["text"])) < 200
    assert longest_gap_ms(hurt.receiver.samples(), 440) <= 20
    await speaks_again(hurt)
    await lost_nothing(other, whole, 880, since)


@pytest.fixture(scope="module")
def embedded(models: Path) -> Iterator[Node]:
    """A node with a language model of its own."""
    tones = {name: value for name, value in TONES.items() if name != "OPENTALKING_LLM_BASE_URL"}
    yield from running(Node(cache=models, **tones, OPENTALKING_LLM_MAX_TOKENS="40"))


@pytest.mark.parametrize("state", STATES)
async def test_a_killed_language_model_ends_the_turn_that_waits_for_it_and_answers_again(
    embedded: Node, state: State
) -> None:
    async with Client(embedded.base) as other, Client(embedded.base) as hurt:
        for client in (other, hurt):
            await client.create()
            await client.connect()
        whole = await speaks(other, 880)
        if state == "speaking":
            turn = await hurt.call("POST", "/chat", {"prompt": "Tell me a long story about the sea."})
            await hurt.events.wait("llm")
        death = kill(embedded, "llm")
        if state == "speaking":
            ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
            errors = [data["code"] for _, name, data in hurt.events.seen if name == "error"]
            assert errors == ["LLM_FAILED"] or not ended["interrupted"]  # it may have written all of it by then
        await is_back(embedded, "llm", death)
        await eventually(lambda: answers(embedded), "the model is loaded")
        turn = await hurt.call("POST", "/chat", {"prompt": "Say hello."})
        ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
        assert ended["text"] and not ended["interrupted"]
        await lost_nothing(other, whole, 880, death.at)


def answers(node: Node) -> bool:
    """Whether `opentalking status` would say that the language model is there."""
    from opentalking.cli import control

    environ = node.processes()["llm"].environ()
    return control.llm_answers(environ["OPENTALKING_LLM_BASE_URL"])


async def test_what_was_said_before_the_speech_process_died_is_remembered_after(
    pair: Node, hurt: Client, llm: LLMServer
) -> None:
    llm.reply = "[440] The password is swordfish."
    first = await hurt.call("POST", "/chat", {"prompt": "What is the password?"})
    await hurt.events.wait("speech.ended", lambda data: data["generation"] == first["generation"])
    llm.reply = spoken(440)
    second = await hurt.call("POST", "/chat", {"prompt": "Tell me more."})
    sentence = "[440] This goes on for a while longer."
    await hurt.events.wait("subtitle.chunk", lambda data: data["fragment"] == 1)
    kill(pair, await worker_of(hurt, "speech"))
    ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == second["generation"])
    assert ended["text"].startswith(sentence) and spoken(440).startswith(ended["text"])
    llm.reply = "[440] Yes."
    third = await hurt.call("POST", "/chat", {"prompt": "Do you remember?"})
    await hurt.events.wait("speech.ended", lambda data: data["generation"] == third["generation"])
    told = [(message["role"], message["content"]) for message in llm.requests[-1]["messages"]]  # type: ignore[attr-defined]
    assert told[1:] == [
        ("user", "What is the password?"),
        ("assistant", "[440] The password is swordfish."),
        ("user", "Tell me more."),
        ("assistant", f"{ended['text']} —"),
        ("user", "Do you remember?"),
    ]

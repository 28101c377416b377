"""What the tests of crashes share: turns that are long enough to be hurt, and what a receiver lost."""

from __future__ import annotations

import time
import xmlrpc.client
from typing import Any

import numpy as np
from supervisor.xmlrpc import SupervisorTransport

from tests.integration.tones import duration_ms, eventually, sounds, spoken
from tests.support.client import Client, Receiver
from tests.support.node import Node

ROLES = ["speech", "inference", "rtc"]
FRAME_TICKS = 90_000 // 25
PACKET_TICKS = 48_000 // 50


async def worker_of(client: Client, role: str) -> str:
    """`speech-1` of `test-4711:speech-1`."""
    return str((await client.call("GET", ""))[f"{role}_worker"]).rpartition(":")[2]


async def speaks(client: Client, hertz: int, sentences: int = 12) -> dict[str, Any]:
    """A long turn that is being heard."""
    turn: dict[str, Any] = await client.call("POST", "/speak", {"text": spoken(hertz, sentences)})
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


async def served(node: Node, client: Client) -> None:
    """Until all its workers have the session: one that was told to go gives it up for a while."""
    redis = node.redis()
    names = [f"ready_{role}" for role in ROLES]
    key = f"opentalking:session:{client.session_id}"
    await eventually(lambda: redis.hmget(key, names) == ["1"] * 3, "all three have the session")
    redis.close()


def longest_gap_ms(samples: np.ndarray, hertz: int) -> int:
    """Between two windows in which the tone is heard."""
    return int(np.diff(sounds(samples, hertz)).max() - 1) * 20


def lost_frames(receiver: Receiver, since: float) -> int:
    """Pictures that were missing among those that came after that moment, by their time stamps."""
    steps = np.diff([stamp for at, stamp, _ in receiver.pictures if at >= since])
    return int(sum(max(0, round(step / FRAME_TICKS) - 1) for step in steps))


def lost_packets(receiver: Receiver, since: float) -> int:
    """Packets of sound that were missing among those that came after that moment, by their time stamps."""
    steps = np.diff([stamp for (at, _), stamp in zip(receiver.sound, receiver.sound_pts, strict=False) if at >= since])
    return int(sum(max(0, round(step / PACKET_TICKS) - 1) for step in steps))


async def is_undisturbed(receiver: Receiver, since: float) -> None:
    """No sound was lost since then, and no picture, unless this machine loses as many while nothing happens to it."""
    assert lost_packets(receiver, since) == 0
    until = time.time()
    if lost := lost_frames(receiver, since):
        await receiver.hear_more((until - since) * 1000)
        assert lost_frames(receiver, until) >= lost, f"{lost} pictures lost, fewer in as long a time without a crash"


def redis_server(node: Node) -> Any:
    """The node's Redis server; None while there is none."""
    parent = next(iter(node.processes().values())).parent()
    assert parent is not None
    return next((child for child in parent.children() if "valkey" in child.name()), None)


def process_of(node: Node, name: str) -> Any:
    """`api`, `rtc-1`, `llm`, `redis`; None while it does not run."""
    return redis_server(node) if name == "redis" else node.processes().get(name)


class Supervisor:
    """What supervisorctl would do, by the socket in the run directory."""

    def __init__(self, node: Node) -> None:
        transport = SupervisorTransport(None, None, f"unix://{node.run_dir / 'supervisor.sock'}")
        self._proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

    def stop(self, name: str) -> None:
        self._proxy.supervisor.stopProcess(f"stages:{name}")

    def start(self, name: str) -> None:
        self._proxy.supervisor.startProcess(f"stages:{name}")

    def running(self) -> dict[str, int]:
        """Process ids by name, of those that supervisord has running for a second or more."""
        rows: Any = self._proxy.supervisor.getAllProcessInfo()
        return {row["name"]: row["pid"] for row in rows if row["statename"] == "RUNNING"}

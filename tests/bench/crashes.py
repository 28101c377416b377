"""How soon a session is served again after a process died, and what the others lost: `python -m tests.bench.crashes`.

    kill -9 ──> told        the hurt client has the typed error (speaking only)
            └─> resumed     a line sent then (idle: at once), and again while it is refused, begins to sound

Two sessions, each with three workers of its own; one is hurt, the other speaks and is counted at an aiortc receiver.
With rtc the hurt client connects anew as soon as it is told that its connection is lost, as the page does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import time
from typing import Any

import aiohttp

from ..integration.crashing import Supervisor, lost_frames, lost_packets, process_of, worker_of
from ..support.client import Client, Events, count_only
from ..support.llm_server import LLMServer
from ..support.node import TONE, Node
from .__main__ import CACHE

WORKERS = ("speech", "inference", "rtc")
ROLES = ("api", *WORKERS, "redis")
LONG = "This sentence is only here to be spoken for a good long while, and nothing in it matters to anybody. " * 20
LINE = "Here I am again."
PATIENCE_S = 30.0
_AGAIN_S = 0.02  # after a refusal


async def measure(quick: bool) -> dict[str, Any]:
    """`recovery_s.<role>.<idle|speaking>` (median), `told_s.<role>.speaking`, `gone_s.<role>`, `others_lost_frames`."""
    figures: dict[str, Any] = {}
    lost = {"frames": 0, "packets": 0}
    workers = {f"OPENTALKING_{role}_WORKERS": "2" for role in ("SPEECH", "INFERENCE", "RTC")}
    voice = {"OPENTALKING_TTS_PLUGINS": f"tone={TONE}", "OPENTALKING_TTS_PROVIDER": "tone"}
    async with LLMServer() as llm:
        environ = {"OPENTALKING_LLM_BASE_URL": llm.base_url, "OPENTALKING_LOG_LEVEL": "WARNING", **voice, **workers}
        async with Node(cache=CACHE, **environ) as node:
            for role in ROLES:
                for state in ("idle", "speaking"):
                    runs = [await _crash(node, role, state, lost) for _ in range(1 if quick else 5)]
                    resumed, told = zip(*runs, strict=True)
                    figures[f"recovery_s.{role}.{state}"] = round(statistics.median(resumed), 2)
                    figures[f"recovery_worst_s.{role}.{state}"] = round(max(resumed), 2)
                    if all(seconds is not None for seconds in told):
                        figures[f"told_s.{role}.{state}"] = round(statistics.median(told), 2)
                if role in WORKERS:
                    figures[f"gone_s.{role}"] = round(await _gone(node, role), 2)
    return figures | {"others_lost_frames": lost["frames"], "others_lost_packets": lost["packets"]}


async def _crash(node: Node, role: str, state: str, lost: dict[str, int]) -> tuple[float, float | None]:
    """Seconds until the hurt session sounds again, and until it was told why it stopped (None: it did not stop)."""
    async with Client(node.base) as hurt, Client(node.base) as other:
        for client in (hurt, other):
            await client.create()
            await client.connect()
        await _speak(other, LONG)
        if state == "speaking":
            await _speak(hurt, LONG)
        process = process_of(node, await worker_of(hurt, role) if role in WORKERS else role)
        clock = _Clock(hurt)
        clock.start()
        process.kill()
        reconnecting = asyncio.create_task(_reconnect(hurt)) if role == "rtc" else None
        loses_turn = state == "speaking" and role in WORKERS
        told_s = await clock.told() if loses_turn else None
        resumed_s = await _resumed(hurt, clock)
        if reconnecting is not None:
            await reconnecting
        before = len(other.receiver.pictures)
        await other.receiver.until(lambda: len(other.receiver.pictures) > before + 25)
        lost["frames"] += lost_frames(other.receiver, clock.at)
        lost["packets"] += lost_packets(other.receiver, clock.at)
        await asyncio.to_thread(process.wait)
        await _all_back(node)
        return resumed_s, told_s


async def _gone(node: Node, role: str) -> float:
    """Seconds from the death of a worker that does not come back until its session ends with the reason."""
    supervisor = Supervisor(node)
    async with Client(node.base) as hurt:
        await hurt.create()
        await hurt.connect()
        name = await worker_of(hurt, role)
        process = process_of(node, name)
        stopping = asyncio.create_task(asyncio.to_thread(supervisor.stop, name))
        await asyncio.to_thread(process.wait)
        clock = _Clock(hurt)
        clock.start()
        await hurt.events.wait("session.terminated", timeout_s=PATIENCE_S)
        gone_s = clock.seconds()
    await stopping
    await asyncio.to_thread(supervisor.start, name)
    await _all_back(node)
    return gone_s


class _Clock:
    """Seconds since the kill."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.at = 0.0

    def start(self) -> None:
        self.at = time.time()

    def seconds(self) -> float:
        return time.time() - self.at

    async def told(self) -> float:
        await self._client.events.wait("error", timeout_s=PATIENCE_S)
        return self.seconds()


async def _speak(client: Client, text: str) -> None:
    turn = await client.call("POST", "/speak", {"text": text})
    await client.events.wait("speech.media_started", lambda data: data["generation"] == turn["generation"])


async def _reconnect(client: Client) -> None:
    await client.events.wait("session.peer", lambda data: data["state"] == "lost", timeout_s=PATIENCE_S)
    await client.reconnect()


async def _resumed(client: Client, clock: _Clock) -> float:
    """Send a line until one is heard."""
    while clock.seconds() < PATIENCE_S:
        try:
            turn = await client.call("POST", "/speak", {"text": LINE})
        except (aiohttp.ClientError, AssertionError):  # nobody there, or refused
            await asyncio.sleep(_AGAIN_S)
            continue
        if client.events._task.done():  # the API was killed: the stream ended with it
            seen = client.events.seen
            await client.events.close()
            client.events = Events(client.http, f"{client.base}/sessions/{client.session_id}/events", seen[-1][0])
        if await _sounds(client, turn["generation"]):
            return clock.seconds()
    raise TimeoutError(f"not served again within {PATIENCE_S:g} s")


async def _sounds(client: Client, generation: int) -> bool:
    """Whether that turn begins to sound; not, if it ends or is lost first."""
    own = {"speech.media_started", "speech.ended"}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S), client.events._changed:
            while True:
                for _, name, data in client.events.seen:
                    if name in own and data["generation"] == generation:
                        return name == "speech.media_started"
                await client.events._changed.wait()
    return False


async def _all_back(node: Node) -> None:
    code, output = await node.cli("status", "--wait", "60")
    if code:
        raise RuntimeError(output)


def table(figures: dict[str, Any]) -> str:
    """Markdown, for docs/crashes.md."""
    rows = ["| killed | idle: sounds again | speaking: told | speaking: sounds again | stays away: session ends |"]
    rows.append("|---|---|---|---|---|")
    for role in ROLES:
        told = figures.get(f"told_s.{role}.speaking")
        idle, speaking = (
            f"{figures[f'recovery_s.{role}.{state}']:.2f} s (worst {figures[f'recovery_worst_s.{role}.{state}']:.2f})"
            for state in ("idle", "speaking")
        )
        gone = figures.get(f"gone_s.{role}")
        told_cell, gone_cell = ("" if one is None else f"{one:.2f} s" for one in (told, gone))
        rows.append(f"| {role} | {idle} | {told_cell or 'not interrupted'} | {speaking} | {gone_cell} |")
    lost = f"others lost {figures['others_lost_frames']} pictures and {figures['others_lost_packets']} packets of sound"
    return "\n".join([*rows, "", f"{lost}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.crashes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one crash of each kind instead of five")
    parser.add_argument("--json", action="store_true", help="the figures instead of the table")
    options = parser.parse_args()
    count_only()
    figures = asyncio.run(measure(options.quick))
    print(json.dumps(figures, indent=2) if options.json else table(figures))


if __name__ == "__main__":
    main()

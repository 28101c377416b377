"""One function a figure; each returns flat keys."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import numpy as np
import psutil

from ..support.client import Client
from ..support.node import Node
from .receiver import LightReceiver

LONG_TEXT = "This sentence is only here to be spoken for a good long while, and nothing in it matters to anybody. " * 38


def percentile(values: list[float], share: float) -> float:
    return round(float(np.percentile(values, share)), 2)


async def own_latency(node: Node, turns: int, injected_ms: float) -> dict[str, Any]:
    """Turn accepted by the API → first speech sample handed to RTP, minus the stand-ins' delays. Turns come at random
    phases of the media clock, one after the other."""
    own: list[float] = []
    async with Client(node.base) as client:
        await client.create()
        await client.connect()
        for _ in range(turns):
            turn = await client.call("POST", "/chat", {"prompt": "Say something."})
            timing = await _wait_started(client, turn["generation"])
            own.append(timing - injected_ms)
            await client.call("POST", "/interrupt")
            await client.events.wait("speech.ended", lambda data, g=turn["generation"]: data["generation"] == g)
            await asyncio.sleep(random.uniform(0.1, 0.2))
    own = own[2:]  # the first turns meet cold connections; they are the warm-up
    return {
        "own_latency_p50_ms": percentile(own, 50),
        "own_latency_p95_ms": percentile(own, 95),
        "own_latency_turns": len(own),
    }


async def _wait_started(client: Client, generation: int) -> float:
    """first_rtp_ms of a turn, once it sounds."""
    data = await client.events.wait("speech.media_started", lambda data: data["generation"] == generation)
    return float(data["first_rtp_ms"])


@asynccontextmanager
async def crowd(node: Node, sessions: int, **fields: Any) -> AsyncIterator[list[Client]]:
    """So many connected sessions, whose receivers only count."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(node.base)) for _ in range(sessions)]
        for client in clients:
            client.receiver = LightReceiver()
            await client.create(**fields)
            await client.connect()
            client.receiver.stop_reading()
        yield clients


async def speak_on(clients: list[Client]) -> None:
    """Let all of them speak for the next minutes; returns when all do."""
    turns = [await client.call("POST", "/speak", {"text": LONG_TEXT}) for client in clients]
    await asyncio.gather(*(_wait_started(c, turn["generation"]) for c, turn in zip(clients, turns, strict=True)))


async def first_frame(node: Node, connects: int) -> dict[str, Any]:
    """Offer sent → first picture decoded at the receiver, ICE and DTLS included; the session waits, loaded."""
    taken: list[float] = []
    for _ in range(connects):
        async with Client(node.base) as client:
            await client.create()
            sdp = await client.receiver.offer()
            began = time.monotonic()
            answer = await client.call("POST", "/webrtc/offer", {"sdp": sdp, "type": "offer"})
            await client.receiver.accept(answer["sdp"])
            await asyncio.wait_for(client.receiver.first_picture.wait(), 60)
            taken.append((time.monotonic() - began) * 1000)
    return {"first_frame_ms": percentile(taken, 50), "first_frame_max_ms": percentile(taken, 100)}


async def steady(node: Node, clients: list[Client], seconds: float, empty: list[float]) -> dict[str, Any]:
    """All speak: frame rates at the receivers, gaps at the sender, CPU of a session (without what none costs)."""
    sessions, workers = len(clients), _media_workers(node)
    figures: dict[str, Any] = {}
    if sessions == 1:
        await asyncio.sleep(4.5)  # the idle loop's next entry is at most 2 s away, its encoding takes another
        figures["cpu_idle_core"] = round(sum(await _cpu(workers, seconds)) - sum(empty), 4)
    await speak_on(clients)
    await asyncio.sleep(1)
    before = [len(receiver.arrivals) for receiver in _receivers(clients)]
    rtc, inference = await _cpu(workers, seconds)
    rates = [_rate(receiver.arrivals[n:]) for receiver, n in zip(_receivers(clients), before, strict=True)]
    gaps = await _sender_gaps(node, clients)
    speaking, in_rtc = rtc + inference - sum(empty), rtc - empty[0]
    suffix = "" if sessions == 1 else f"_{sessions}"
    return figures | {
        f"fps_{sessions}": round(min(rates), 2),
        f"gap_p99_ms_{sessions}": max(gaps),
        f"cpu_speaking_core{suffix}": round(speaking / sessions, 4),
        f"cpu_speaking_rtc_core{suffix}": round(in_rtc / sessions, 4),
    }


async def cpu_without_sessions(node: Node, seconds: float) -> list[float]:
    """Cores used by rtc and inference while nobody is there."""
    return await _cpu(_media_workers(node), seconds)


def _media_workers(node: Node) -> tuple[psutil.Process, ...]:
    processes = node.processes()
    return processes["rtc-0"], processes["inference-0"]


def _receivers(clients: list[Client]) -> list[LightReceiver]:
    return [client.receiver for client in clients if isinstance(client.receiver, LightReceiver)]


def _rate(arrivals: list[float]) -> float:
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


async def _sender_gaps(node: Node, clients: list[Client]) -> list[float]:
    """The longest of a hundred gaps between pictures handed to RTP, of the last 20 s, of each session."""
    await asyncio.sleep(1.5)  # heartbeats carry them, one a second
    async with clients[0].http.get(f"{node.base}/metrics") as response:
        exposed = await response.text()
    wanted = 'opentalking_playout{figure="picture_gap_p99_ms",session_id="%s"} '
    lines = exposed.splitlines()
    found = [float(line.split()[-1]) for line in lines for c in clients if line.startswith(wanted % c.session_id)]
    if len(found) != len(clients):
        raise RuntimeError(f"/metrics tells the gaps of {len(found)} of {len(clients)} sessions")
    return found


async def _cpu(processes: tuple[psutil.Process, ...], seconds: float) -> list[float]:
    """Cores used by each process over `seconds`."""

    def spent() -> list[float]:
        return [sum(process.cpu_times()[:2]) for process in processes]

    start, before = time.monotonic(), spent()
    await asyncio.sleep(seconds)
    elapsed = time.monotonic() - start
    return [(b - a) / elapsed for a, b in zip(before, spent(), strict=True)]


def memory(node: Node) -> dict[str, Any]:
    return {f"rss_mb.{role}": round(process.memory_info().rss / 1e6, 1) for role, process in node.processes().items()}

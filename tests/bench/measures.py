"""One function a figure; each returns flat keys."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import numpy as np
import psutil

from ..support.client import Client
from ..support.node import Node

LONG_TEXT = "This sentence is only here to be spoken for a good long while, and nothing in it matters to anybody. " * 8


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


async def interruption(node: Node, cuts: int) -> dict[str, Any]:
    """POST /interrupt sent (the client's clock, HTTP included) → last old sample handed to RTP, at random phases."""
    last: list[float] = []
    async with Client(node.base) as client:
        await client.create()
        await client.connect()
        for _ in range(cuts):
            turn = await client.call("POST", "/speak", {"text": LONG_TEXT})
            await _wait_started(client, turn["generation"])
            await asyncio.sleep(random.uniform(0.2, 0.6))
            at = time.time()
            await client.call("POST", "/interrupt")
            ended = await client.events.wait("speech.ended", lambda data, g=turn["generation"]: data["generation"] == g)
            after_ms = (ended["last_sample_at"] - at) * 1000
            if after_ms < -60:  # two packets and a half before: it was not speaking, so nothing was measured
                raise RuntimeError(f"turn {turn['generation']} was silent {-after_ms:.0f} ms before its interruption")
            last.append(max(0.0, after_ms))
    return {
        "interrupt_last_sample_p50_ms_1": percentile(last, 50),
        "interrupt_last_sample_p99_ms_1": percentile(last, 99),
        "interrupt_cuts_1": len(last),
    }


async def steady(node: Node, seconds: float) -> dict[str, Any]:
    """Frame rate at the receiver, and what one session costs: CPU with it minus CPU without it."""
    processes = node.processes()
    rtc, inference = processes["rtc-0"], processes["inference-0"]
    empty = await _cpu((rtc, inference), seconds)
    async with Client(node.base) as client:
        await client.create()
        await client.connect()
        await asyncio.sleep(4.5)  # the idle loop's next entry is at most 2 s away, its encoding takes another
        idle = await _cpu((rtc, inference), seconds)
        turn = await client.call("POST", "/speak", {"text": LONG_TEXT})
        await _wait_started(client, turn["generation"])
        await asyncio.sleep(1)
        before = len(client.receiver.pictures)
        speaking = await _cpu((rtc, inference), seconds)
        arrivals = [at for at, *_ in client.receiver.pictures[before:]]
    gaps = np.diff(arrivals) * 1000
    return {
        "fps_1": round((len(arrivals) - 1) / (arrivals[-1] - arrivals[0]), 2),
        "gap_p99_ms_1": percentile(list(gaps), 99),
        "cpu_speaking_core": round(sum(speaking) - sum(empty), 4),
        "cpu_speaking_rtc_core": round(speaking[0] - empty[0], 4),
        "cpu_idle_core": round(sum(idle) - sum(empty), 4),
        "cpu_workers_without_session_core": round(sum(empty), 4),
    }


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

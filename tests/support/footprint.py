"""What a node occupies: memory, descriptors, threads and tasks of each process, shared memory, keys in Redis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from .node import Node

PREFIX = "opentalking:"


@dataclass(frozen=True, slots=True)
class Occupied:
    """By one process. Anonymous memory is its own: no file, no shared memory. Established TCP connections (to Redis, to
    the language model) are pools that hold as many as were ever in use at once: counted apart from descriptors."""

    rss_kb: int
    anonymous_kb: int
    descriptors: int
    connections: int
    threads: int
    tasks: int
    ghosts: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """`segments`: files and folders in the node's shared memory; `lasting_keys`: those without a time to live."""

    processes: dict[str, Occupied]
    segments: int
    keys: int
    lasting_keys: int
    redis_kb: int


def redis_process(node: Node) -> psutil.Process:
    """The node's embedded server."""
    supervisor = next(iter(node.processes().values())).parent()
    assert supervisor is not None
    return next(child for child in supervisor.children() if "valkey" in child.name())


async def metrics(node: Node) -> dict[tuple[str, ...], float]:
    """The API's figures: (name, *labels) -> value."""
    async with aiohttp.ClientSession() as http, http.get(node.base + "/metrics") as response:
        families = text_string_to_metric_families(await response.text())
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


async def at_rest(node: Node) -> bool:
    """Whether nobody uses the node: no session, no stream of events, nothing of a session in shared memory."""
    figures = await metrics(node)
    states = [value for (name, *_), value in figures.items() if name == "opentalking_sessions"]
    folders = [entry for entry in node.shm.iterdir() if entry.is_dir()]
    return not folders and sum(states) == 0 and figures["opentalking_event_streams",] == 0


async def footprint(node: Node) -> Footprint:
    figures = await metrics(node)
    tasks = {key[1].rpartition(":")[2]: int(n) for key, n in figures.items() if key[0] == "opentalking_tasks"}
    with node.redis() as redis:
        info: dict[str, Any] = redis.info("memory")
        keys = list(redis.scan_iter(PREFIX + "*", count=1000))
        with redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.ttl(key)
            lasting = pipe.execute().count(-1)
    processes = {role: _occupied(p, tasks.get(role, 0), ghosts(node, p)) for role, p in node.processes().items()}
    processes["redis"] = _occupied(redis_process(node), 0, 0)
    return Footprint(
        processes, sum(1 for _ in node.shm.rglob("*")), len(keys), lasting, int(info["used_memory"]) // 1024
    )


def ghosts(node: Node, process: psutil.Process) -> int:
    """How many idle clips of the node this process maps though they were deleted."""
    clips = str((node.run_dir / "cache").resolve() / "idle")
    lines = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
    return sum(clips in line and line.endswith("(deleted)") for line in lines)


def _occupied(process: psutil.Process, tasks: int, ghosts: int) -> Occupied:
    status = Path(f"/proc/{process.pid}/status").read_text()
    memory = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.endswith(" kB")}
    connections = sum(s.status == psutil.CONN_ESTABLISHED for s in process.net_connections("tcp"))
    return Occupied(
        rss_kb=memory["VmRSS"],
        anonymous_kb=memory["RssAnon"],
        descriptors=process.num_fds() - connections,
        connections=connections,
        threads=process.num_threads(),
        tasks=tasks,
        ghosts=ghosts,
    )

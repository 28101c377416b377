"""Heartbeats: a worker is alive as long as its hash exists, and the hash lives only as long as someone refreshes it.

The index remembers the workers that were seen, so that one that fell silent can be noticed and then forgotten.
"""

from __future__ import annotations

import logging

import msgspec

from opentalking.store import keys
from opentalking.store.client import Client
from opentalking.store.records import WorkerBeat

log = logging.getLogger(__name__)

WORKER_TTL_S = 5.0


class Heartbeats(Client):
    """`opentalking:worker:{worker}` and `opentalking:workers`."""

    async def beat(self, worker: WorkerBeat, ttl_s: float = WORKER_TTL_S) -> None:
        """Say that a worker lives; due every second."""
        key = keys.worker(worker.worker)
        fields = [part for pair in worker.to_hash().items() for part in pair]
        await self._all(
            ("HSET", key, *fields),
            ("PEXPIRE", key, max(1, int(ttl_s * 1000))),
            ("ZADD", keys.WORKERS, worker.beat_at, worker.worker),
        )

    async def workers(self) -> list[WorkerBeat]:
        """Workers that are alive, by name."""
        return (await self._census())[0]

    async def silent_workers(self) -> list[str]:
        """Workers in the index whose heartbeat is gone."""
        return (await self._census())[1]

    async def forget_worker(self, worker_id: str) -> None:
        """Take a worker out: it is gone, or going. Its commands stay a while, for an incarnation yet to come."""
        await self._all(
            ("DEL", keys.worker(worker_id)),
            ("ZREM", keys.WORKERS, worker_id),
            ("EXPIRE", keys.commands(worker_id), keys.ENDED_TTL_S),
        )

    async def _census(self) -> tuple[list[WorkerBeat], list[str]]:
        ids = sorted(str(member) for member in await self._call("ZRANGE", keys.WORKERS, 0, -1))
        hashes = await self._all(*(("HGETALL", keys.worker(worker_id)) for worker_id in ids))
        alive, silent = [], []
        for worker_id, raw in zip(ids, hashes, strict=True):
            if not raw:
                silent.append(worker_id)
                continue
            try:
                alive.append(WorkerBeat.from_hash(raw))
            except (KeyError, msgspec.MsgspecError) as error:
                log.error("heartbeat of %s cannot be read: %s", worker_id, error)
        return alive, silent

"""The first moments of a worker process: say that it lives, then load what it needs.

    lock held ──> heartbeat, lost turns told ──> service imported, sessions opened ──> engines warm ──> ready
      ~0.1 s        ~0.3 s                         ~0.5 s                                ~1.5 s

A process that follows a crash is waited for, by people and by the janitor. So this module imports next to nothing, and
the service, named by a string, only comes after those who were hurt know of it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from opentalking.config import Settings, settings
from shm import NodeFolder, Presence, reap_nodes

if TYPE_CHECKING:
    from opentalking.store import Role


def run_worker(role: Role, service: str) -> None:
    """Run a worker process until it is told to stop. `service` is the Service as module:Class, made with the Worker."""
    config = settings()
    reap_nodes(Path("/dev/shm"), "opentalking-")
    node = NodeFolder(config.shm_root)
    number = os.environ.get("OPENTALKING_WORKER_NUMBER", "0")
    Presence(config.shm_root, f"{role}-{number}")  # until the kernel sees us go: not a moment sooner
    import uvloop

    _log_as(role, config)
    uvloop.run(_live(role, number, config, node, service))
    node.close()


async def _live(role: Role, number: str, config: Settings, node: NodeFolder, service: str) -> None:
    from opentalking.store import Store
    from workers.lifecycle import Worker

    store = await Store.connect(config.redis_url or "redis://127.0.0.1:6379/0")
    try:
        await Worker(role, config, store, node, number).run(service)
    finally:
        await store.close()


def _log_as(role: str, config: Settings) -> None:
    logging.basicConfig(level=config.log_level, format=f"%(asctime)s {role} %(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "aioice", "aiortc", "openai"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

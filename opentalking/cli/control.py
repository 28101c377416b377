"""Asking a running node how it is: supervisord over its socket, the API over HTTP, the workers by their heartbeats."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
import xmlrpc.client
from pathlib import Path
from typing import Any

import msgspec
from supervisor.xmlrpc import SupervisorTransport

from opentalking.store import Store, StoreError, WorkerBeat

_TIMEOUT_S = 2.0
_PATIENCE_S = 0.5  # with a Redis that refuses connections


class ProcessInfo(msgspec.Struct, frozen=True):
    """One supervised process. `started_at` in seconds since the epoch, 0 when it never ran."""

    name: str
    state: str  # STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL
    pid: int
    started_at: float
    note: str  # supervisord's sentence about what went wrong, or empty
    logfile: Path


class Unreachable(Exception):
    """supervisord does not answer on its socket."""


def process_infos(socket_path: Path | str) -> dict[str, ProcessInfo]:
    """Every configured process by name. Raises Unreachable."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path}")
    proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
    try:
        rows: list[dict[str, Any]] = proxy.supervisor.getAllProcessInfo()  # type: ignore[assignment]
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise Unreachable(f"{socket_path}: {error}") from None
    finally:
        transport.close()
    return {row["name"]: _info(row) for row in rows}


def _info(row: dict[str, Any]) -> ProcessInfo:
    return ProcessInfo(
        name=row["name"],
        state=row["statename"],
        pid=row["pid"],
        started_at=float(row["start"]),
        note=row["spawnerr"],
        logfile=Path(row["stdout_logfile"]),
    )


def get(url: str) -> bytes | None:
    """Body of a 200, else None. Asks the address itself, whatever proxy the environment names."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as response:
            return bytes(response.read())
    except (OSError, http.client.HTTPException, urllib.error.URLError):
        return None


def api_answers(url: str) -> bool:
    return get(f"{url}/healthz") is not None


def workers(redis_url: str) -> dict[str, WorkerBeat]:
    """The heartbeats of every living worker by id; empty while Redis does not answer."""

    async def ask() -> list[WorkerBeat]:
        store = await Store.connect(redis_url, _PATIENCE_S)
        try:
            return await store.workers()
        finally:
            await store.close()

    try:
        return {beat.worker: beat for beat in asyncio.run(ask())}
    except StoreError:
        return {}


def redis_trouble(url: str) -> str:
    """Why Redis does not answer there; empty when it does."""

    async def ask() -> None:
        await (await Store.connect(url, _PATIENCE_S)).close()

    try:
        asyncio.run(ask())
    except (StoreError, ValueError) as error:  # ValueError: not a Redis URL
        return str(error)
    return ""


def llm_answers(base_url: str) -> bool:
    """llama.cpp's server says 200 here once its model is loaded."""
    return get(f"{base_url.removesuffix('/v1')}/health") is not None

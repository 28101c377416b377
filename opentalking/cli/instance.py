"""The record of a running node in its run directory, and the end of one, however it came about.

starting ──record written──> running ──stop()──> nothing left but logs and caches
                                └─ killed hard ──> stale: the next `up` or `down` calls stop() for it
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec

from opentalking.cli import processes
from shm.reaper import reap_nodes

_RECORD = "opentalking.json"
REDIS_FOLDER = "redis"  # in the run directory, as supervisor.conf has it
_STOP_S = 45.0  # supervisord gives the stages 25 s at most, then Redis and the LLM 5 s; the rest is for a busy machine


class AlreadyStarting(Exception):
    """Another `up` is at work in this run directory."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A started node: supervisord's identity and what it leaves behind when it is killed."""

    pid: int
    start_ticks: int
    world: str
    node: str
    url: str
    run_dir: str
    redis_url: str
    llm_base_url: str
    socket: str
    shm_root: str
    processes: tuple[str, ...]
    started_at: float
    version: str

    @property
    def logs(self) -> Path:
        return Path(self.run_dir) / "logs"

    def is_running(self) -> bool:
        return self.world == processes.world() and processes.is_running(self.pid, self.start_ticks)

    def members(self) -> list[int]:
        """Everything of it that lives, supervisord included, even when supervisord itself is dead."""
        if self.world != processes.world():
            return []
        leader = processes.read_stat(self.pid)
        if leader is not None and leader.start_ticks != self.start_ticks:
            return []  # the number was given away, so nobody was left in the session
        return processes.session_members(self.pid)


def read_instance(run_dir: Path) -> Instance | None:
    """The record, running or stale; None when there is none (or only half of one)."""
    try:
        return msgspec.json.decode((run_dir / _RECORD).read_bytes(), type=Instance)
    except (OSError, msgspec.DecodeError):
        return None


def running_instance(run_dir: Path) -> Instance | None:
    instance = read_instance(run_dir)
    return instance if instance is not None and instance.is_running() else None


def write_instance(run_dir: Path, instance: Instance) -> None:
    draft = run_dir / f"{_RECORD}.new"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(instance), indent=2) + b"\n")
    draft.replace(run_dir / _RECORD)


@contextlib.contextmanager
def starting(run_dir: Path) -> Iterator[None]:
    """Held by the one `up` that starts here; a lock on the folder itself leaves no file. Raises AlreadyStarting."""
    fd = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyStarting(f"another `opentalking up` is starting in {run_dir}") from None
        yield
    finally:
        os.close(fd)


def stop(run_dir: Path, instance: Instance) -> list[int]:
    """End every process of the instance and remove what it left. Returns pids that could not be ended."""
    if instance.is_running():
        processes.send([instance.pid], signal.SIGTERM)
        processes.wait_gone([instance.pid], _STOP_S)
    survivors = processes.end(instance.members())
    if not survivors:
        _remove_traces(run_dir, instance)
    return survivors


def _remove_traces(run_dir: Path, instance: Instance) -> None:
    socket = Path(instance.socket)
    shutil.rmtree(run_dir / REDIS_FOLDER, ignore_errors=True)
    for path in (socket, run_dir / "supervisord.pid", run_dir / _RECORD):
        path.unlink(missing_ok=True)
    for draft in socket.parent.glob(f"{socket.name}.*"):  # supervisord was killed between bind and rename
        draft.unlink(missing_ok=True)
    if socket.parent != run_dir:
        with contextlib.suppress(OSError):
            socket.parent.rmdir()
    root = Path(instance.shm_root)
    reap_nodes(root.parent, root.name)
    if not (root / ".alive").exists():
        shutil.rmtree(root, ignore_errors=True)

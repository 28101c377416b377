"""Waiting until a started node is ready, telling each step, and telling well why it is not.

A process is ready when supervisord has it RUNNING and it answers: Redis a PING, the language model and the API an HTTP
request, a worker by a heartbeat that says `ready`, with the pid that supervisord knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from opentalking.cli import control
from opentalking.cli.control import ProcessInfo, Unreachable
from opentalking.cli.instance import Instance
from opentalking.store import WorkerBeat

_POLL_S = 0.2
_STILL_S = 10.0  # a sign of life this often while nothing changes
_STARTS = 3  # a process that has ended this often will not come up
_TAIL_LINES = 20


class StartFailed(Exception):
    """The node does not come up; the message says which process and shows the end of its log."""


class Readiness:
    """What is ready so far, and how often each process had to be started."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._pids: dict[str, set[int]] = {name: set() for name in instance.processes}
        self.ready: set[str] = set()

    @property
    def waiting(self) -> list[str]:
        return [name for name in self._instance.processes if name not in self.ready]

    def look(self) -> list[str]:
        """Ask once; returns the processes that became ready. Raises StartFailed for one that gave up."""
        try:
            infos = control.process_infos(self._instance.socket)
        except Unreachable:
            return []
        for name in self.waiting:
            self._check_alive(infos[name])
        workers = control.workers(self._instance.redis_url)
        fresh = [name for name in self.waiting if self._answers(infos[name], workers)]
        self.ready.update(fresh)
        return fresh

    def _check_alive(self, info: ProcessInfo) -> None:
        if info.pid:
            self._pids[info.name].add(info.pid)
        ended = len(self._pids[info.name] - {info.pid})
        if info.state == "FATAL" or ended >= _STARTS:
            reason = info.note or f"ended {ended} times"
            raise StartFailed(f"{info.name} does not start ({reason}).\n{tail(info.logfile)}")

    def _answers(self, info: ProcessInfo, workers: dict[str, WorkerBeat]) -> bool:
        if info.state != "RUNNING":
            return False
        if info.name == "redis":
            return not control.redis_trouble(self._instance.redis_url)
        if info.name == "llm":
            return control.llm_answers(self._instance.llm_base_url)
        if info.name == "api":
            return control.api_answers(self._instance.url)
        worker = workers.get(f"{self._instance.node}:{info.name}")
        return worker is not None and worker.pid == info.pid and bool(worker.info.get("ready"))


def wait_until_ready(
    instance: Instance, timeout_s: float, supervisord_ended: Callable[[], bool], say: Callable[[str], None]
) -> None:
    """`say` a line for every process that becomes ready. Raises StartFailed."""
    readiness = Readiness(instance)
    began = spoken = time.monotonic()
    while readiness.waiting:
        if supervisord_ended():
            raise StartFailed(f"supervisord ended.\n{tail(instance.logs / 'supervisord.out')}")
        for name in readiness.look():
            spoken = time.monotonic()
            say(f"  {name:<12} ready after {spoken - began:4.1f} s")
        now = time.monotonic()
        if now - began > timeout_s:
            raise StartFailed(_too_late(instance, readiness.waiting, timeout_s))
        if now - spoken > _STILL_S:
            spoken = now
            say(f"  … waiting for {', '.join(readiness.waiting)} (the first start builds caches)")
        if readiness.waiting:
            time.sleep(_POLL_S)


def _too_late(instance: Instance, waiting: list[str], timeout_s: float) -> str:
    logs = "\n".join(tail(instance.logs / f"{name}.log") for name in waiting)
    return f"not ready after {timeout_s:.0f} s: {', '.join(waiting)}.\n{logs}"


def tail(path: Path, lines: int = _TAIL_LINES) -> str:
    """The end of a log, indented, under its path."""
    try:
        content = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        content = []
    return "\n".join([f"  {path}:", *(f"    | {line}" for line in content or ["(empty)"])])

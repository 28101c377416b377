"""Processes as /proc shows them: which are ours, and waiting for their end.

supervisord leads a session of its own, and everything that it starts stays in that session. The kernel does not give a
number to a new process while it still names a session, so the members of a dead supervisord's session are ours and
nobody else's; boot id, pid namespace and start time tell a reused number from the original.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class ProcessStat(NamedTuple):
    """The fields of /proc/<pid>/stat that we use."""

    state: str
    session: int
    start_ticks: int


def read_stat(pid: int) -> ProcessStat | None:
    """None when there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold spaces and parentheses
    return ProcessStat(fields[0], int(fields[3]), int(fields[19]))


def world() -> str:
    """Names this boot and pid namespace: only within one do pids and start times mean something."""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"


def is_running(pid: int, start_ticks: int) -> bool:
    """Is this very process alive (not a later one of the same number, not a zombie)?"""
    stat = read_stat(pid)
    return stat is not None and stat.start_ticks == start_ticks and stat.state not in "ZX"


def session_members(session: int) -> list[int]:
    """Pids of the living processes of a session, its leader included."""
    pids = sorted(int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    stats = ((pid, read_stat(pid)) for pid in pids)
    return [pid for pid, stat in stats if stat and stat.session == session and stat.state not in "ZX"]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def _pidfds(pids: Iterable[int]) -> Iterator[dict[int, int]]:
    opened: dict[int, int] = {}
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                opened[os.pidfd_open(pid)] = pid
        yield opened
    finally:
        for fd in opened:
            os.close(fd)


def wait_gone(pids: Iterable[int], timeout_s: float) -> list[int]:
    """Wait until all have ended. Returns those that have not when the time is over."""
    deadline = time.monotonic() + timeout_s
    with _pidfds(pids) as opened:
        left = dict(opened)
        poller = select.poll()
        for fd in left:
            poller.register(fd, select.POLLIN)
        while left:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            for fd, _ in poller.poll(remaining * 1000):
                poller.unregister(fd)
                del left[fd]
        return sorted(left.values())


def end(pids: list[int], term_s: float = 3.0, kill_s: float = 5.0) -> list[int]:
    """Ask to end, then kill. Returns what survived (a process stuck in the kernel)."""
    send(pids, signal.SIGTERM)
    left = wait_gone(pids, term_s)
    send(left, signal.SIGKILL)
    return wait_gone(left, kill_s)

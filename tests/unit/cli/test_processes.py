"""Processes: identity beyond the number, members of a session, ending them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from opentalking.cli import processes

# a leader that starts two children, prints their pids, and waits
LEADER = """
import subprocess, sys, time
children = [subprocess.Popen([sys.executable, "-c", CHILD]) for _ in range(2)]
print(*[child.pid for child in children], flush=True)
time.sleep(600)
"""
PATIENT = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)


@contextlib.contextmanager
def running(*command, **options) -> Iterator[subprocess.Popen]:
    """A process that is gone after the block, whatever happens in it."""
    with subprocess.Popen(command, text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def start_session(child: str = PATIENT) -> tuple[subprocess.Popen, list[int]]:
    leader = subprocess.Popen(
        [sys.executable, "-c", f"CHILD = {child!r}\n{LEADER}"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = [int(word) for word in leader.stdout.readline().split()]
    return leader, pids


def test_a_stat_line_is_read_even_when_the_name_holds_parentheses(tmp_path):
    odd = tmp_path / "a) R (b"
    odd.symlink_to("/bin/sleep")
    with running(odd, "600") as child:
        stat = processes.read_stat(child.pid)
    assert stat.session == os.getsid(0)
    assert stat.start_ticks >= processes.read_stat(os.getpid()).start_ticks


def test_a_process_is_itself_and_not_another_of_the_same_number():
    own = processes.read_stat(os.getpid())
    assert processes.is_running(os.getpid(), own.start_ticks)
    assert not processes.is_running(os.getpid(), own.start_ticks + 1)


def test_a_zombie_does_not_run():
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, but not yet reaped
    stat = processes.read_stat(child.pid)
    assert stat.state == "Z"
    assert not processes.is_running(child.pid, stat.start_ticks)
    child.wait()
    assert processes.read_stat(child.pid) is None


def test_children_are_found_by_their_session_after_the_leader_was_killed():
    leader, children = start_session()
    assert processes.session_members(leader.pid) == sorted([leader.pid, *children])
    leader.kill()
    leader.wait()
    assert processes.session_members(leader.pid) == sorted(children)
    assert processes.end(children) == []
    assert processes.session_members(leader.pid) == []


def test_who_does_not_listen_to_sigterm_is_killed():
    with running(sys.executable, "-c", STUBBORN, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == "deaf\n"
        assert processes.end([child.pid], term_s=0.1) == []
        assert child.wait() == -signal.SIGKILL


def test_waiting_tells_who_is_still_there():
    with running(sys.executable, "-c", PATIENT) as child:
        assert processes.wait_gone([child.pid], 0.05) == [child.pid]
        child.kill()
        assert processes.wait_gone([child.pid], 10) == []

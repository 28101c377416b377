"""supervisord with our wake-up: its loop ends its wait when a child ends, and goes round once more to restart it."""

import os
import select
import signal
import subprocess
import sys

import pytest

from opentalking.cli.plan import checkout
from opentalking.cli.supervisord import SignalPipe
from tests.unit.cli.test_processes import running

CONF = """
[supervisord]
nodaemon=true
silent=true
logfile={here}/supervisord.log
pidfile={here}/supervisord.pid
[program:child]
command="{python}" "{here}/child.py"
autorestart=true
startsecs=0
"""
CHILD = """
import os, signal
with open(os.path.join(os.path.dirname(__file__), "births"), "w") as births:
    print(os.getpid(), file=births)
signal.pause()
"""


@pytest.fixture
def pipe():
    made = SignalPipe()
    yield made
    signal.set_wakeup_fd(-1)


def is_due(pipe: SignalPipe) -> bool:
    return bool(select.select([pipe.read_fd], [], [], 0)[0])


def test_the_end_of_a_child_asks_for_two_rounds_and_no_more(pipe, monkeypatch):
    before = signal.signal(
        signal.SIGCHLD, lambda *_: None
    )  # supervisord has one too; without, no descriptor is written
    try:
        assert not is_due(pipe)
        subprocess.run([sys.executable, "-c", ""])
        assert is_due(pipe)
        pipe.handle_read_event()
        assert is_due(pipe)
        pipe.handle_read_event()
        assert not is_due(pipe)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_killed_child_is_back(tmp_path):
    os.mkfifo(tmp_path / "births")
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "supervisor.conf").write_text(CONF.format(python=sys.executable, here=tmp_path))
    command = [sys.executable, "-m", "opentalking.cli.supervisord", "-n", "-c", str(tmp_path / "supervisor.conf")]
    command += ["-u", "root"] if os.getuid() == 0 else []
    with running(*command, env=os.environ | {"PYTHONPATH": str(checkout())}) as supervisord:
        first = int((tmp_path / "births").read_text())
        os.kill(first, signal.SIGKILL)
        second = int((tmp_path / "births").read_text())
        supervisord.terminate()
        assert supervisord.wait() == 0
    assert first != second

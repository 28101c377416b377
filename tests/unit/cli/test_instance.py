"""The record of a node: running, stale, and what its end removes."""

import fcntl
import subprocess
import sys

import msgspec
import pytest

from opentalking.cli import instance as instances
from opentalking.cli import processes
from opentalking.cli.instance import AlreadyStarting, Instance
from tests.unit.cli.test_processes import running, start_session


def record(run_dir, pid, **changes) -> Instance:
    stat = processes.read_stat(pid)
    fields = {
        "pid": pid,
        "start_ticks": stat.start_ticks,
        "world": processes.world(),
        "node": "n",
        "url": "http://127.0.0.1:1",
        "run_dir": str(run_dir),
        "redis_url": "",
        "llm_base_url": "",
        "socket": str(run_dir / "supervisor.sock"),
        "shm_root": str(run_dir / "shm" / "opentalking-n"),
        "processes": ("api",),
        "started_at": 0.0,
        "version": "0",
    }
    return Instance(**{**fields, **changes})


@pytest.fixture
def node(tmp_path):
    """A session of three processes that stands for supervisord and its children."""
    leader, children = start_session()
    yield leader, children
    processes.end(processes.session_members(leader.pid))
    leader.wait()


def test_a_written_record_is_read_back_and_runs(tmp_path, node):
    written = record(tmp_path, node[0].pid)
    instances.write_instance(tmp_path, written)
    assert instances.running_instance(tmp_path) == written


def test_no_record_and_a_broken_one_are_no_instance(tmp_path):
    assert instances.read_instance(tmp_path) is None
    (tmp_path / "opentalking.json").write_text('{"pid": ')
    assert instances.read_instance(tmp_path) is None


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"world": "another boot"}])
def test_a_record_whose_number_another_process_has_is_stale_and_that_process_is_left_alone(tmp_path, node, change):
    leader, children = node
    stale = record(tmp_path, leader.pid, **change)
    assert not stale.is_running()
    assert stale.members() == []
    assert instances.stop(tmp_path, stale) == []
    assert processes.session_members(leader.pid) == sorted([leader.pid, *children])


def test_stopping_ends_the_children_of_a_supervisord_that_was_killed(tmp_path, node):
    leader, children = node
    killed = record(tmp_path, leader.pid)
    leader.kill()
    leader.wait()
    assert not killed.is_running()
    assert killed.members() == sorted(children)
    assert instances.stop(tmp_path, killed) == []
    assert [processes.read_stat(child) for child in children if child in processes.session_members(leader.pid)] == []


def test_stopping_removes_socket_record_and_shared_memory_but_keeps_logs(tmp_path, node):
    leader, _ = node
    running = record(tmp_path, leader.pid)
    instances.write_instance(tmp_path, running)
    session = tmp_path / "shm" / "opentalking-n" / "sess_1"
    session.mkdir(parents=True)
    (session.parent / ".alive").touch()
    (session / "ring").write_bytes(b"x")
    for name in ("supervisor.sock", "supervisor.sock.123", "supervisord.pid"):
        (tmp_path / name).touch()
    for name in ("logs", "redis"):
        (tmp_path / name).mkdir()
    assert instances.stop(tmp_path, running) == []
    leader.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "shm"]
    assert list((tmp_path / "shm").iterdir()) == []


def test_shared_memory_that_a_live_worker_of_another_run_holds_is_left(tmp_path, node):
    leader, _ = node
    root = tmp_path / "shm" / "opentalking-n"
    root.mkdir(parents=True)
    with open(root / ".alive", "w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert instances.stop(tmp_path, record(tmp_path, leader.pid)) == []
        assert root.is_dir()


def test_only_one_starts_in_a_run_directory(tmp_path):
    script = "import sys; from pathlib import Path; from opentalking.cli.instance import starting\n"
    script += "with starting(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with running(sys.executable, "-c", script, str(tmp_path), **piped) as other:
        assert other.stdout.readline() == "in\n"
        with (
            pytest.raises(AlreadyStarting, match="another `opentalking up` is starting in"),
            instances.starting(tmp_path),
        ):
            pass
        other.communicate("")
    with instances.starting(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_the_record_is_json_that_a_person_can_read(tmp_path, node):
    instances.write_instance(tmp_path, record(tmp_path, node[0].pid))
    text = (tmp_path / "opentalking.json").read_text()
    assert msgspec.json.decode(text)["pid"] == node[0].pid
    assert "\n" in text

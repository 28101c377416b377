"""`opentalking up` and `down` with the real processes: healthy, restarted one by one, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from opentalking.cli import processes
from opentalking.cli.control import process_infos
from opentalking.cli.instance import Instance, read_instance
from opentalking.cli.plan import checkout
from tests.unit.cli.test_processes import running

pytestmark = pytest.mark.integration

ALL = ["redis", "llm", "api", "speech-0", "inference-0", "rtc-0"]


class Shell:
    """The command line of one node, whose run directory is `run_dir`."""

    def __init__(self, run_dir: Path, cache: Path) -> None:
        self.run_dir = run_dir
        run_dir.mkdir()
        (run_dir / "cache").symlink_to(cache)  # what a first start builds is built once for all tests here
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("OPENTALKING_")}
        self.environ |= {"OPENTALKING_RUN_DIR": str(run_dir), "OPENTALKING_API_PORT": "0"}
        self.environ |= {"OPENTALKING_ENV_FILE": str(run_dir / "none.env"), "PYTHONPATH": str(checkout())}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "opentalking.cli", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), env=self.environ, capture_output=True, text=True)

    def up(self) -> Instance:
        result = self.run("up", "-d")
        assert result.returncode == 0, result.stdout + result.stderr
        return self.instance()

    def instance(self) -> Instance:
        found = read_instance(self.run_dir)
        assert found is not None
        return found

    def status(self) -> dict[str, str]:
        rows = json.loads(self.run("status", "--json").stdout)["processes"]
        return {row["process"]: row["state"] for row in rows}

    def assert_nothing_is_left_of(self, instance: Instance, pids: list[int]) -> None:
        stats = {pid: processes.read_stat(pid) for pid in pids}
        assert [pid for pid, stat in stats.items() if stat and stat.state != "Z"] == []  # zombies are init's to reap
        assert not Path(instance.shm_root).exists()
        assert not Path(instance.socket).exists()
        assert sorted(path.name for path in self.run_dir.iterdir()) == ["cache", "logs"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def shell(tmp_path: Path, cache: Path) -> Iterator[Shell]:
    made = Shell(tmp_path / "run", cache)
    yield made
    made.run("down")


def test_up_in_the_background_is_healthy_and_down_leaves_nothing(shell: Shell) -> None:
    instance = shell.up()
    members = instance.members()
    assert shell.status() == dict.fromkeys(ALL, "running")
    with urlopen(f"{instance.url}/health") as response:
        answer = json.load(response)
    assert {worker["role"] for worker in answer["workers"]} == {"speech", "inference", "rtc"}
    assert answer["llm"]["embedded"] is True
    assert Path(instance.shm_root).is_dir()

    again = shell.run("up", "-d")
    assert again.returncode == 0
    assert again.stdout.startswith(f"OpenTalking is already running here: {instance.url}")

    down = shell.run("down")
    assert down.returncode == 0, down.stderr
    assert len(members) > len(ALL)
    shell.assert_nothing_is_left_of(instance, members)
    assert shell.run("status").returncode == 3


def test_ctrl_c_in_the_foreground_leaves_nothing(shell: Shell) -> None:
    with running(*shell.command("up"), env=shell.environ, stdout=subprocess.PIPE) as up:
        said = wait_for_line(up, "OpenTalking is ready:")
        instance = shell.instance()
        members = instance.members()
        assert f"OpenTalking is ready:  {instance.url}" in said
        assert "rtc-0" in said
        up.send_signal(signal.SIGINT)
        rest = up.communicate()[0]
    assert up.returncode == 0, rest
    assert rest.endswith("stopped\n")
    shell.assert_nothing_is_left_of(instance, members)


def test_when_supervisord_is_killed_the_next_down_ends_what_it_left_and_nothing_else(shell: Shell) -> None:
    with running(sys.executable, "-c", "import signal; signal.pause()") as bystander:
        instance = shell.up()
        members = instance.members()
        os.kill(instance.pid, signal.SIGKILL)
        processes.wait_gone([instance.pid], 10)
        assert shell.run("status").returncode == 3
        assert instance.members() != []
        down = shell.run("down")
        assert (down.returncode, down.stdout) == (0, "cleaning up after a run that was killed\nstopped\n")
        shell.assert_nothing_is_left_of(instance, members)
        assert bystander.poll() is None


def test_killed_processes_come_back_each_alone_and_redis_with_what_it_held(shell: Shell) -> None:
    instance = shell.up()
    shell.run("redis", "SET", "opentalking:test", "kept")
    for name in ALL:
        before = process_infos(instance.socket)
        os.kill(before[name].pid, signal.SIGKILL)
        while process_infos(instance.socket)[name].pid in (0, before[name].pid):
            pass  # supervisord has not seen it yet; each question waits for its answer
        back = shell.run("status", "--wait", "60")
        assert back.returncode == 0, back.stderr
        after = process_infos(instance.socket)
        assert {one for one in ALL if after[one].pid != before[one].pid} == {name}
    assert shell.run("redis", "GET", "opentalking:test").stdout == '"kept"\n'


def test_a_process_that_cannot_start_is_named_with_the_end_of_its_log(shell: Shell) -> None:
    broken = shell.run_dir / "broken.gguf"
    broken.write_bytes(b"not a model")
    shell.environ["OPENTALKING_LLM_MODEL_PATH"] = str(broken)
    result = shell.run("up", "-d")
    assert result.returncode == 1
    assert "llm does not start" in result.stderr
    assert "logs/llm.log:" in result.stderr
    broken.unlink()
    assert sorted(path.name for path in shell.run_dir.iterdir()) == ["cache", "logs"]


def wait_for_line(process: subprocess.Popen[str], start: str) -> str:
    """What the process says until a line contains `start`."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if start in line:
            return said
    raise AssertionError(f"ended without {start!r}:\n{said}")

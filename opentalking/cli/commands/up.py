"""Start everything under supervisord, wait until it is ready, print the page's address.

In the foreground (the default) Ctrl-C stops everything again and leaves nothing but logs and caches; with -d it goes
on in the background until `opentalking down`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import opentalking
from opentalking.cli import checks, processes
from opentalking.cli.instance import (
    REDIS_FOLDER,
    AlreadyStarting,
    Instance,
    read_instance,
    running_instance,
    starting,
    stop,
    write_instance,
)
from opentalking.cli.plan import Plan, make_plan, run_dir_of, supervisor_conf
from opentalking.cli.ports import PortBusy
from opentalking.cli.readiness import StartFailed, wait_until_ready
from opentalking.config import Settings, load_settings

_PR_SET_PDEATHSIG = 1


class StopRequested(Exception):
    """Ctrl-C, SIGTERM or SIGHUP."""


def arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--foreground", action="store_true", help="stay here until Ctrl-C (default)")
    how.add_argument("-d", "--detach", action="store_true", help="return when ready; stop with `opentalking down`")
    parser.add_argument("--run-dir", help="folder for logs, sockets and caches (OPENTALKING_RUN_DIR)")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds until it must be ready (default 180)")


def run(options: argparse.Namespace) -> int:
    settings = load_settings()
    run_dir = run_dir_of(settings)
    if (running := running_instance(run_dir)) is not None:
        return _say_running(running)
    if not _may_start(settings):
        return 2
    try:
        (run_dir / "logs").mkdir(parents=True, exist_ok=True)
        with _stop_signals(), _Node() as node:
            with starting(run_dir):
                _clean_up_stale(run_dir)
                plan = make_plan(settings, os.environ)
                instance = node.start(plan, detached=options.detach)
                wait_until_ready(instance, options.timeout, node.ended, _say)
            _say(_welcome(plan, options))
            return node.detach() if options.detach else node.wait()
    except StopRequested:
        return 0
    except (AlreadyStarting, PortBusy, OSError) as error:
        print(f"opentalking: {error}", file=sys.stderr)
        return 2
    except StartFailed as error:
        print(
            f"\nopentalking: {error}\n\nEverything was stopped again. `opentalking doctor` may know why.",
            file=sys.stderr,
        )
        return 1


def _say(line: str) -> None:
    print(line, flush=True)  # also when a file or a pipe reads it


class _Node:
    """supervisord as our child. Leaving the block stops the node, unless it was detached."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._plan: Plan | None = None
        self._instance: Instance | None = None

    def __enter__(self) -> _Node:
        return self

    def start(self, plan: Plan, detached: bool) -> Instance:
        _say(f"OpenTalking {opentalking.__version__}, node {plan.settings.node}, logs in {plan.logs}")
        plan.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (plan.run_dir / REDIS_FOLDER).mkdir(mode=0o700, exist_ok=True)
        self._plan = plan
        self._child = spawn_supervisord(plan, dies_with_us=not detached)
        self._instance = instance_of(plan, self._child.pid)
        write_instance(plan.run_dir, self._instance)
        return self._instance

    def ended(self) -> bool:
        return self._child is None or self._child.poll() is not None

    def detach(self) -> int:
        self._instance = None
        if self._child is not None:
            self._child.returncode = 0  # goes on without us: not a child to be waited for
        return 0

    def wait(self) -> int:
        """Until somebody stops it (0: `opentalking down`; 1: supervisord was killed)."""
        assert self._child is not None
        return 0 if self._child.wait() == 0 else 1

    def __exit__(self, *_: object) -> None:
        if self._instance is None or self._plan is None:
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: _say("still stopping …"))
        if not self.ended():
            _say("\nstopping …")
        survivors = _stop(self._plan.run_dir, self._instance, self._child)
        _say(f"stopped, but {survivors} could not be ended" if survivors else "stopped")


def _stop(run_dir: Path, instance: Instance, child: subprocess.Popen[bytes] | None) -> list[int]:
    survivors = stop(run_dir, instance)
    if child is not None and not survivors:
        child.wait()
    return survivors


def spawn_supervisord(plan: Plan, dies_with_us: bool) -> subprocess.Popen[bytes]:
    """supervisord as the leader of a session of its own. `dies_with_us`: it gets SIGTERM when we are killed."""
    command = [sys.executable, "-m", "opentalking.cli.supervisord", "-n", "-c", str(supervisor_conf())]
    if os.getuid() == 0:
        command += ["-u", pwd.getpwuid(0).pw_name]  # said aloud, it does not warn
    libc = ctypes.CDLL(None)

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    with open(plan.logs / "supervisord.out", "wb") as out:
        return subprocess.Popen(
            command,
            env=plan.environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=in_child if dies_with_us else None,
        )


def instance_of(plan: Plan, pid: int) -> Instance:
    stat = processes.read_stat(pid)
    return Instance(
        pid=pid,
        start_ticks=stat.start_ticks if stat else 0,
        world=processes.world(),
        node=plan.settings.node,
        url=plan.url,
        run_dir=str(plan.run_dir),
        redis_url=plan.settings.redis_url,
        llm_base_url=plan.settings.llm_base_url,
        socket=str(plan.socket),
        shm_root=str(plan.settings.shm_root),
        processes=plan.processes,
        started_at=time.time(),
        version=opentalking.__version__,
    )


@contextlib.contextmanager
def _stop_signals() -> Iterator[None]:
    """Within, Ctrl-C, SIGTERM and SIGHUP raise StopRequested in the main thread."""

    def request(*_: Any) -> None:
        raise StopRequested

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, request) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _clean_up_stale(run_dir: Path) -> None:
    stale = read_instance(run_dir)
    if stale is None:
        return
    _say("cleaning up after a run that was killed")
    if survivors := stop(run_dir, stale):
        raise OSError(f"processes of the last run cannot be ended: {survivors}")


def _may_start(settings: Settings) -> bool:
    """Print what stands in the way, if anything does."""
    failed = [check for check in checks.before_start(settings) if check.level == "fail"]
    for check in failed:
        print(f"opentalking: {check.name}: {check.message}\n  mend: {check.mend}", file=sys.stderr)
    return not failed


def _say_running(instance: Instance) -> int:
    _say(f"OpenTalking is already running here: {instance.url}\n  stop: {_own_name()} down")
    return 0


def _own_name() -> str:
    """How this command is called from here: by its name when the shell would find it, else as it was."""
    called = Path(sys.argv[0])
    if called.name != "opentalking":
        return "python -m opentalking.cli"
    found = shutil.which("opentalking")
    return "opentalking" if found and called.exists() and called.samefile(found) else str(called)


def _welcome(plan: Plan, options: argparse.Namespace) -> str:
    text = f"OpenTalking is ready:  {plan.url}"
    bar = "─" * (len(text) + 4)
    where = f" --run-dir {shlex.quote(options.run_dir)}" if options.run_dir else ""
    me = _own_name()
    stop_hint = f"{me} down{where}" if options.detach else "Ctrl-C"
    return (
        f"\n  ┌{bar}┐\n  │  {text}  │\n  └{bar}┘\n"
        f"  stop: {stop_hint}    look: {me} status{where}    logs: {me} logs -f{where}"
    )

"""Show every process: state, pid, since when, memory, and the sessions of each worker. Exit code 3: not running."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import psutil

from opentalking.cli import control
from opentalking.cli.instance import Instance, read_instance
from opentalking.cli.plan import run_dir_of
from opentalking.cli.readiness import StartFailed, wait_until_ready
from opentalking.config import load_settings

NOT_RUNNING = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wait", type=float, metavar="SECONDS", help="first wait until everything is ready")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--run-dir", help="the run directory it was started with (OPENTALKING_RUN_DIR)")


def run(options: argparse.Namespace) -> int:
    run_dir = run_dir_of(load_settings())
    instance = read_instance(run_dir)
    if instance is None or not instance.is_running():
        left = "; a killed run left traces: opentalking down" if instance else ""
        print(f"not running in {run_dir}{left}", file=sys.stderr)
        return NOT_RUNNING
    try:
        if options.wait is not None:
            wait_until_ready(instance, options.wait, lambda: not instance.is_running(), lambda _: None)
        rows = process_rows(instance)
    except StartFailed as error:
        print(f"opentalking: {error}", file=sys.stderr)
        return 1
    except control.Unreachable as error:
        print(f"supervisord (pid {instance.pid}) does not answer: {error}", file=sys.stderr)
        return 1
    answer = {"url": instance.url, "node": instance.node, "redis_url": instance.redis_url, "processes": rows}
    print(json.dumps(answer, indent=2) if options.json else table(instance, rows))
    return 0 if all(row["state"] == "running" for row in rows) else 1


def process_rows(instance: Instance) -> list[dict[str, Any]]:
    """One row a process. A worker that runs but sends no heartbeat is `silent`; only workers have `sessions`."""
    infos = control.process_infos(instance.socket)
    workers = control.workers(instance.redis_url)
    rows = []
    for name in instance.processes:
        info = infos[name]
        is_worker = "-" in name
        worker = workers.get(f"{instance.node}:{name}")
        beats = worker is not None and worker.pid == info.pid
        rows.append(
            {
                "process": name,
                "state": "silent" if is_worker and info.state == "RUNNING" and not beats else info.state.lower(),
                "pid": info.pid or None,
                "uptime_s": int(time.time() - info.started_at) if info.pid else None,
                "memory_mb": _memory_mb(info.pid),
                "sessions": worker.sessions if worker else None,
                "note": info.note,
            }
        )
    return rows


def _memory_mb(pid: int) -> int | None:
    """Resident memory; shared pages (libraries, rings) are counted in every process that maps them."""
    try:
        return int(psutil.Process(pid).memory_info().rss / 2**20) if pid else None
    except psutil.Error:
        return None


def table(instance: Instance, rows: list[dict[str, Any]]) -> str:
    header = f"{'PROCESS':<14}{'STATE':<10}{'PID':>8}{'UPTIME':>11}{'MEMORY':>9}{'SESSIONS':>10}"
    lines = [f"OpenTalking {instance.version} at {instance.url}   node {instance.node}", "", header]
    for row in rows:
        memory = f"{row['memory_mb']} MB" if row["memory_mb"] is not None else "-"
        sessions = "-" if row["sessions"] is None else row["sessions"]
        lines.append(
            f"{row['process']:<14}{row['state']:<10}{row['pid'] or '-':>8}{duration(row['uptime_s']):>11}"
            f"{memory:>9}{sessions:>10}   {row['note']}".rstrip()
        )
    return "\n".join(lines)


def duration(seconds: int | None) -> str:
    """12 s, 3 min 4 s, 5 h 6 min, 7 d 8 h"""
    if seconds is None:
        return "-"
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // smaller} {name}"
    return f"{seconds} s"

"""Two processes and more than ten million records: none is lost, torn, out of order or of a generation that is over."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from bisect import bisect_right
from pathlib import Path
from typing import Any

import pytest

from tests.proof import records

ROOT = Path(__file__).resolve().parents[2]
# Short rings meet full and empty at every turn and wait for wake-ups; long ones run at full speed.
RUNS = {2: 60_000, 16: 440_000, 128: 2_500_000, 256: 2_500_000, 1024: 2_500_000, 8192: 2_500_000}  # slots: records


async def run(*arguments: object) -> dict[str, Any]:
    """One of the two processes, to its end: what it says that it did."""
    command = [sys.executable, "-m", "tests.proof.stress", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:  # the other one failed
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{arguments[0]} failed"
    report: dict[str, Any] = json.loads(said)
    return report


pytestmark = pytest.mark.proof


def test_the_runs_together_are_ten_million_records():
    assert sum(RUNS.values()) >= 10**7


@pytest.mark.parametrize("slots", RUNS)
async def test_records_arrive_whole_in_order_and_never_from_a_generation_that_is_over(tmp_path, slots):
    began_at, seed = time.monotonic(), records.seed()
    async with asyncio.TaskGroup() as both:
        runs = [both.create_task(run(role, tmp_path, slots, RUNS[slots], seed)) for role in ("producer", "consumer")]
    produced, consumed = (run.result() for run in runs)
    rate = consumed["read"] / (time.monotonic() - began_at)
    print(f"{slots} slots: {consumed['read']} read, {consumed['fenced']} fenced, {len(produced['began'])} generations,")
    print(f"{produced['waits']} waits for space, {consumed['waits']} for records, {rate:.0f} records/s")
    assert consumed["read"] > RUNS[slots]
    assert consumed["read"] + consumed["fenced"] == consumed["end"] == produced["published"]
    assert produced["waits"] + consumed["waits"] > 0
    generations, first = zip(*produced["began"], strict=True)
    assert len(generations) > RUNS[slots] // max(1000, 40 * slots), "the generation was hardly ever raised"
    for floor, _, end in consumed["skipped"]:  # generations only rise, so the last of a gap speaks for all of it
        assert generations[bisect_right(first, end - 1) - 1] < floor, f"sequence {end - 1} was dropped, floor {floor}"

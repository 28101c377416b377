"""The bench runs as the README says and writes the figures it promises; whether they are good, it says itself."""

import asyncio
import json
import os
import sys

import pytest

from tests.support.node import ROOT

pytestmark = pytest.mark.integration

KEYS = {
    "own_latency_p95_ms",
    "interrupt_last_sample_p99_ms_1",
    "fps_1",
    "cpu_speaking_core",
    "cpu_speaking_rtc_core",
    "cpu_idle_core",
}


async def test_a_quick_run_writes_every_figure_as_a_flat_number(tmp_path):
    output = tmp_path / "bench.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "opentalking.cli", "bench", "--quick", "--output", str(output)),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    figures = json.loads(output.read_text())
    assert figures.keys() >= KEYS
    assert all(isinstance(figures[key], int | float) for key in KEYS)
    assert figures["fps_1"] > 0 and figures["cpu_speaking_core"] > 0
    assert "promise <=" in printed.decode()

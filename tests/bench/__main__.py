"""`opentalking bench [--quick] [--output bench.json]`: run all measurements, print a table, write flat keys.

Conditions: a whole node under supervisord on this machine; language model and voice are stand-ins of fixed delay (their
delays are subtracted where the key says own_); receivers are aiortc clients on the same machine that decode nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from ..support.client import count_only
from ..support.llm_server import LLMServer
from ..support.node import TONE, Node
from . import measures

CACHE = Path("~/.cache/opentalking-bench").expanduser()
LLM_DELAY_MS = 100
TTS_DELAY_MS = 80

PROMISES: dict[str, tuple[str, float]] = {
    "own_latency_p95_ms": ("<=", 60),
    "interrupt_last_sample_p99_ms_1": ("<=", 40),
    "fps_1": (">=", 24.8),
    "cpu_speaking_core": ("<=", 0.20),
    "cpu_speaking_rtc_core": ("<=", 0.08),
    "cpu_idle_core": ("<=", 0.02),
}


async def run(quick: bool) -> dict[str, Any]:
    count_only()
    async with LLMServer(delay_s=LLM_DELAY_MS / 1000) as llm:
        environ = {
            "OPENTALKING_LLM_BASE_URL": llm.base_url,
            "OPENTALKING_TTS_PLUGINS": f"tone={TONE}",
            "OPENTALKING_TTS_PROVIDER": "tone",
            "OPENTALKING_TONE_DELAY_MS": str(TTS_DELAY_MS),
            "OPENTALKING_LOG_LEVEL": "WARNING",
        }
        async with Node(cache=CACHE, **environ) as node:
            figures: dict[str, Any] = {}
            turns, cuts, seconds = (12, 25, 5) if quick else (60, 120, 20)
            figures |= await measures.own_latency(node, turns, LLM_DELAY_MS + TTS_DELAY_MS)
            figures |= await measures.interruption(node, cuts)
            figures |= await measures.steady(node, seconds)
            figures |= measures.memory(node)
            return figures


def conditions(quick: bool) -> dict[str, Any]:
    return {
        "conditions.cpu": _cpu_name(),
        "conditions.cores": os.cpu_count(),
        "conditions.load_average": os.getloadavg()[0],
        "conditions.python": platform.python_version(),
        "conditions.quick": quick,
        "conditions.llm_delay_ms": LLM_DELAY_MS,
        "conditions.tts_delay_ms": TTS_DELAY_MS,
    }


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def print_table(figures: dict[str, Any]) -> None:
    for key, value in figures.items():
        verdict = ""
        if key in PROMISES:
            relation, bound = PROMISES[key]
            kept = value <= bound if relation == "<=" else value >= bound
            verdict = f"   promise {relation} {bound:g}   {'kept' if kept else 'MISSED'}"
        shown = f"{value:10.3f}" if isinstance(value, float) else f"{value!s:>10}"
        print(f"{key:36} {shown}{verdict}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="opentalking bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, fewer samples")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="where the figures go")
    options = parser.parse_args()
    figures = conditions(options.quick) | asyncio.run(run(options.quick))
    options.output.write_text(json.dumps(figures, indent=2) + "\n")
    print_table(figures)
    print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

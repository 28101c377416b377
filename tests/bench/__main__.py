"""`opentalking bench [--quick] [--spoken] [--output bench.json]`: run all measurements, print a table, write flat keys.

Conditions: a whole node under supervisord on this machine; language model and voice are stand-ins of fixed delay (their
delays are subtracted where the key says own_). Receivers are aiortc clients on the same machine that count packets by
their headers; only where sound and picture are the figure (interruptions, skew, lips) one of them decodes. Faces are
the default one, but for the session that is watched: its picture mirrors its sound. What is spoken is answered by
another node, with nothing but its offline defaults (spoken.py). Voices elsewhere are measured by themselves, against
stand-ins that speak their protocols (voices.py), and so is what decodes them (decoding.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..support.client import count_only
from ..support.llm_server import LLMServer
from ..support.node import MIRROR, TONE, Node
from ..support.spoken import RECORDINGS
from . import decoding, lipsync, measures, ring, skew, spoken, voices
from .interruption import interruption

CACHE = Path("~/.cache/opentalking-bench").expanduser()
SESSIONS = (1, 4, 8)
LLM_DELAY_MS = 100
TTS_DELAY_MS = 80
DEFAULT_AVATAR = "presenter"

PROMISES: dict[str, tuple[str, float]] = {
    "own_latency_p95_ms": ("<=", 60),
    **{f"interrupt_last_sample_p99_ms_{n}": ("<=", 40) for n in SESSIONS},
    **{f"interrupt_idle_frame_p99_ms_{n}": ("<=", 80) for n in SESSIONS},
    "interrupt_stale_samples": ("<=", 0),
    "ring_handoff_p50_us": ("<=", 300),
    "ring_frames_per_s": (">=", 3000),
    "skew_p5_ms": (">=", -45),
    "skew_p95_ms": ("<=", 15),
    "cpu_speaking_core": ("<=", 0.20),
    "cpu_speaking_rtc_core": ("<=", 0.08),
    "cpu_idle_core": ("<=", 0.02),
    **{f"fps_{n}": (">=", 24.8) for n in SESSIONS},
    "eos_to_first_frame_p50_ms": ("<=", 1000),
    "barge_in_pause_p99_ms": ("<=", 40),
    **{f"lipsync_{figure}.{DEFAULT_AVATAR}": bound for figure, bound in lipsync.GATES.items()},
}


@dataclass(frozen=True)
class Effort:
    """How much is measured of what."""

    turns: int
    connects: int
    cuts: int
    steady_s: float
    skew_s: float
    spoken: int
    coughs: int
    lip_texts: int
    every_avatar: bool


FULL = Effort(
    turns=60, connects=10, cuts=100, steady_s=20, skew_s=60, spoken=32, coughs=60, lip_texts=2, every_avatar=True
)
QUICK = Effort(turns=6, connects=2, cuts=3, steady_s=2, skew_s=1, spoken=2, coughs=2, lip_texts=1, every_avatar=False)


async def run(effort: Effort, quick: bool) -> dict[str, Any]:
    count_only()
    figures = await ring.measure(quick)
    figures |= await decoding.measure(quick)
    figures |= await voices.measure(quick)
    async with LLMServer(delay_s=LLM_DELAY_MS / 1000) as llm:
        environ = {
            "OPENTALKING_LLM_BASE_URL": llm.base_url,
            "OPENTALKING_TTS_PLUGINS": f"tone={TONE}",
            "OPENTALKING_TTS_PROVIDER": "tone",
            "OPENTALKING_MODEL_PLUGINS": f"mirror={MIRROR}",
            "OPENTALKING_TONE_DELAY_MS": str(TTS_DELAY_MS),
            "OPENTALKING_MAX_SESSIONS": str(max(SESSIONS) + 1),
            "OPENTALKING_LOG_LEVEL": "WARNING",
        }
        async with Node(cache=CACHE, **environ) as node:
            empty = await measures.cpu_without_sessions(node, effort.steady_s)
            figures |= await measures.own_latency(node, effort.turns, LLM_DELAY_MS + TTS_DELAY_MS)
            figures |= await measures.first_frame(node, effort.connects)
            stale = 0
            for sessions in SESSIONS:
                async with measures.crowd(node, sessions) as clients:
                    figures |= await measures.steady(node, clients, effort.steady_s, empty)
                async with (
                    measures.crowd(node, 1, model="mirror") as mirrors,
                    measures.crowd(node, sessions - 1) as others,
                ):
                    await measures.speak_on(others)
                    found = await interruption(*mirrors, sessions, effort.cuts)
                stale += found.pop("interrupt_stale_samples")
                figures |= found
            figures["interrupt_stale_samples"] = stale
            figures |= await skew.measure(node, effort.skew_s)
            for avatar in await lipsync.avatars(node.base) if effort.every_avatar else [DEFAULT_AVATAR]:
                natural = lipsync.NATURAL if effort.every_avatar else ()
                found, _ = await lipsync.measure(node.base, avatar, lipsync.TEXTS[: effort.lip_texts], natural)
                figures |= found
            figures |= measures.memory(node)
    return figures | await spoken.measure(effort.spoken, effort.coughs)


def conditions(quick: bool) -> dict[str, Any]:
    """`llm_delay_ms` and `tts_delay_ms` are the stand-ins': what is spoken is answered without them."""
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
    parser.add_argument("--quick", action="store_true", help="two minutes, fewer samples")
    parser.add_argument("--spoken", action="store_true", help="spoken turns alone: ten of them, about a minute")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="where the figures go")
    options = parser.parse_args()
    if options.spoken:
        measuring = spoken.measure(QUICK.spoken if options.quick else 10, QUICK.coughs if options.quick else 10)
    else:
        measuring = run(QUICK if options.quick else FULL, options.quick)
    figures = conditions(options.quick) | asyncio.run(measuring)
    if RECORDINGS.is_dir():  # a wheel is without them
        figures |= spoken.word_errors()
    options.output.write_text(json.dumps(figures, indent=2) + "\n")
    print_table(figures)
    print(f"written to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The bench runs as the README says and writes the figures it promises; whether they are good, it says itself."""

import asyncio
import json
import os
import sys

import pytest

from tests.bench.voices import VOICES
from tests.support.node import ROOT

pytestmark = pytest.mark.integration

KEYS = {
    "own_latency_p95_ms",
    *(f"interrupt_last_sample_p99_ms_{sessions}" for sessions in (1, 4, 8)),
    *(f"interrupt_idle_frame_p99_ms_{sessions}" for sessions in (1, 4, 8)),
    "interrupt_stale_samples",
    "ring_handoff_p50_us",
    "ring_frames_per_s",
    "skew_p95_ms",
    "skew_slope_ms_per_h",
    *(f"fps_{sessions}" for sessions in (1, 4, 8)),
    *(f"gap_p99_ms_{sessions}" for sessions in (1, 4, 8)),
    "cpu_speaking_core",
    "cpu_speaking_rtc_core",
    "cpu_idle_core",
    "first_frame_ms",
    "eos_to_first_frame_p50_ms",
    "eos_to_first_frame_p95_ms",
    *(f"eos_to_{stage}_p50_ms" for stage in ("vad_decision", "stt_final", "turn_committed", "first_rtp")),
    "barge_in_pause_p99_ms",
    *(f"lipsync_{figure}.presenter" for figure in ("offset_ms", "corr_envelope", "corr_jaw", "closures", "control")),
    "wer_offline",
    *(f"tts_overhead_p95_ms.{voice}" for voice in VOICES),
    *(f"tts_abort_p95_ms.{voice}" for voice in VOICES),
    *(f"decode_{figure}.libav" for figure in ("first_pcm_p95_ms", "cpu_ms_per_s", "abort_p95_ms", "memory_mb")),
    *(f"rss_mb.{process}" for process in ("api", "speech-0", "inference-0", "rtc-0")),
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
    assert figures["fps_8"] > 0 and figures["cpu_speaking_core"] > 0
    assert figures["interrupt_stale_samples"] == 0
    assert figures["eos_turns"] > 0 and figures["barge_in_pauses"] > 0
    assert figures["wer_offline"] < 1
    assert "promise <=" in printed.decode()

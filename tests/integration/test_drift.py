"""The drift command runs as its help says: every click is found, and a series and a picture are written."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from opentalking.types import FRAME_MS
from tests.bench.skew import CLICKS_A_TURN
from tests.support.node import ROOT

pytestmark = pytest.mark.integration


async def test_a_short_run_finds_sound_and_picture_together_and_draws_it(tmp_path: Path) -> None:
    output, picture = tmp_path / "drift.json", tmp_path / "drift.svg"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.drift", "--minutes", "0.05", "--every", "1"),
        *("--output", str(output), "--picture", str(picture)),
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    assert "A/V skew drifts by" in printed.decode()
    written = json.loads(output.read_text())
    summary, samples = written["summary"], written["samples"]
    assert summary["skew_clicks"] + summary["skew_lost"] == CLICKS_A_TURN
    assert summary["skew_clicks"] > CLICKS_A_TURN / 2
    assert abs(summary["skew_p50_ms"]) < FRAME_MS  # on the media's own clock: a slot apart would be a whole frame
    assert max(sample["av"] for sample in samples) > 0  # the rings were seen at work
    assert all(sample[f"rss_mb.{role}"] > 10 for sample in samples for role in ("api", "rtc-0", "inference-0"))
    texts = {element.text for element in ElementTree.fromstring(picture.read_text()).iter()}
    assert {"minutes", "resident memory, MB", "rtc-0"} <= texts

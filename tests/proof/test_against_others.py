"""The ring against what Python brings along, in one run."""

from __future__ import annotations

import pytest

from tests.bench import ring

pytestmark = pytest.mark.proof


async def test_frames_pass_the_ring_faster_than_a_queue_or_a_pipe():
    figures = await ring.measure(quick=True)
    print("\n".join(f"{key}: {value}" for key, value in figures.items()))
    assert {"ring_handoff_p50_us", "queue_handoff_p50_us", "pipe_handoff_p50_us"} <= figures.keys()
    assert all(isinstance(value, int | float) and value > 0 for value in figures.values())
    assert figures["ring_frames_per_s"] > figures["queue_frames_per_s"]
    assert figures["ring_frames_per_s"] > figures["pipe_frames_per_s"]

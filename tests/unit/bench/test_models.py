"""What the bench of the models makes of a model."""

from __future__ import annotations

import pytest

from opentalking.avatars.bundle import PACKAGED
from tests.bench import models
from tests.bench.models import Cost, cost
from tests.support.mirror import MirrorAdapter


def test_sessions_are_those_whose_frames_leave_a_tenth_of_the_time() -> None:
    assert Cost(4, True, wall_ms=9.0, cpu_ms=20.0).sessions == 4
    assert Cost(1, False, wall_ms=36.1, cpu_ms=36.1).sessions == 0


def test_the_time_is_a_frames_however_many_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr(models.time, "perf_counter", lambda: float(next(seconds)))  # every look at it is a second
    adapter = MirrorAdapter()
    avatar = adapter.load_avatar(PACKAGED / "presenter")
    assert [cost(adapter, avatar, count, together=False).wall_ms for count in (1, 4)] == [1000, 250]

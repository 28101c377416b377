"""Skew is told from sounds and pictures that were made with a known one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from opentalking.types import FPS, PACKET_SAMPLES, PLAYBACK_SAMPLES, AudioChunk
from tests.bench.skew import PROMISE_MS, figures, heard_clicks, match, seen_clicks, slope
from tests.support.mirror import MirrorAdapter, MirrorAvatar, Reading, colour, reading
from tests.support.tone import CLICK_AMPLITUDE, CLICK_PITCHES, RATE, click_track, clicks
from tests.support.watcher import Moment

COUNT = 12
T0 = 1000.0


def packets() -> list[tuple[Moment, np.ndarray]]:
    track = np.repeat(click_track(COUNT), 48_000 // RATE).reshape(-1, PACKET_SAMPLES)
    return [(Moment(T0 + n / 50, T0 + n / 50 + 0.01), pcm) for n, pcm in enumerate(track)]


def pictures(late_s: float, arrives_late_s: float = 0.0) -> list[tuple[Moment, Reading]]:
    """The mirror's of the same slots, all of them late."""
    slots = np.repeat(click_track(COUNT), 48_000 // RATE).reshape(-1, PLAYBACK_SAMPLES)
    avatar, out = MirrorAvatar(64, 64), np.empty((96, 64), np.uint8)
    shown = []
    for n, slot in enumerate(slots):
        MirrorAdapter().compose_frame(avatar, 0, colour(AudioChunk(slot[::3], 16_000)), out)
        at = T0 + n / FPS + late_s
        shown.append((Moment(at, at + 0.01 + arrives_late_s), reading(out)))
    return shown


def test_a_click_is_heard_when_it_begins_and_in_its_pitch() -> None:
    for (moment, hertz), (slot, pitch) in zip(heard_clicks(packets()), clicks(COUNT), strict=True):
        assert moment.sent == pytest.approx(T0 + slot / FPS, abs=0.0002)
        assert abs(hertz - pitch) < 50


@pytest.mark.parametrize("late_ms", [-2000, -45, 0, 15, 120, 2000])
def test_skew_is_positive_when_the_sound_is_early(late_ms: int) -> None:
    found = match(heard_clicks(packets()), seen_clicks(pictures(late_ms / 1000, arrives_late_s=0.005)))
    assert [click.skew_ms for click in found] == pytest.approx([late_ms] * len(found), abs=0.5)
    assert [click.arrival_skew_ms for click in found] == pytest.approx([late_ms + 5] * len(found), abs=0.5)
    assert len(found) == COUNT


def test_a_click_that_is_not_seen_is_lost_and_not_taken_for_its_neighbour() -> None:
    seen = seen_clicks(pictures(0))
    found = match(heard_clicks(packets()), seen[:3] + seen[4:])
    told = figures(found, COUNT)
    assert (told["skew_clicks"], told["skew_lost"]) == (COUNT - 1, 1)
    assert PROMISE_MS[0] < told["skew_p5_ms"] <= told["skew_p50_ms"] <= told["skew_p95_ms"] < PROMISE_MS[1]
    assert told["skew_max_deviation_ms"] < 0.5


def test_a_slope_comes_with_its_error() -> None:
    times = [float(second) for second in range(0, 3600, 5)]
    noise = np.random.default_rng(1).normal(0, 2, len(times))
    gradient, error = slope(times, [3 * time / 3600 + off for time, off in zip(times, noise, strict=True)])
    assert abs(gradient - 3) < 3 * error < 1.5
    assert slope([1.0, 2.0], [0.0, 0.0]) == (0.0, float("inf"))


def test_neighbouring_clicks_differ_in_pitch_and_no_two_silences_in_a_row_are_alike() -> None:
    marks = clicks(50)
    assert all(one != other for (_, one), (_, other) in pairwise(marks))
    gaps = np.diff([slot for slot, _ in marks])
    assert (gaps[1:] != gaps[:-1]).all()
    assert CLICK_AMPLITUDE < 32_767 and len(set(CLICK_PITCHES)) == len(CLICK_PITCHES)

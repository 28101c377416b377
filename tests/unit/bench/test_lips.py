"""What is told of a mouth whose lag and likeness to the sound are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.lips import PICTURE_S, REACH_S, Curve, agreement, closures, loudness
from tests.support.phonemes import JAW_STEP_S, pronounce

SENTENCES = (
    "My father bought a big boat and a map of the bay.",
    "People jump up when the band begins to play.",
    "The brown bear may climb a plum tree by the pond.",
    "Bob himself has never seen a blue moon above Rome.",
)
OTHER = "Nine silver scissors lie hidden in the garden and every evening the children sing a rather slow song."
T0 = 1000.0


def jaw(*sentences: str) -> tuple[Curve, list[float]]:
    """Of sentences one after the other, and where p, b and m are."""
    values, moments, start = [], [], T0
    for sentence in sentences:
        said = pronounce(sentence, end_pause=True)
        values.append(said.jaw())
        moments += [start + moment for moment in said.bilabials()]
        start += len(values[-1]) * JAW_STEP_S
    curve = np.concatenate(values)
    return Curve(T0 + np.arange(len(curve)) * JAW_STEP_S, curve), moments


def seen(curve: Curve, late_s: float = 0.0, noise: float = 0.0, seed: int = 1) -> Curve:
    """As pictures show it, 25 a second at any phase: each is of its own middle, with what landmarks tremble."""
    times = np.arange(curve.times[0] - 0.493, curve.times[-1] + 0.5, PICTURE_S)
    values = 0.02 + 0.2 * curve.at(times)
    return Curve(times + late_s, values + np.random.default_rng(seed).normal(0, noise, len(values)))


@pytest.mark.parametrize("late_ms", [0, 120, -200, 37])
def test_a_known_lag_is_told_and_three_pictures_late_are_120_ms(late_ms: int) -> None:
    said, _ = jaw(*SENTENCES)
    found = agreement([(seen(said, late_ms / 1000, noise=0.03), said)])
    assert found.lag_ms == pytest.approx(late_ms, abs=15)
    assert 0.6 < found.r < 1


def test_one_lag_is_told_of_several_turns_whenever_they_were() -> None:
    turns = [jaw(sentence)[0] for sentence in SENTENCES]
    pairs = [
        (Curve(mouth.times + n * 77.7, mouth.values), Curve(said.times + n * 77.7, said.values))
        for n, (mouth, said) in enumerate((seen(said, 0.06, 0.02, seed=n), said) for n, said in enumerate(turns))
    ]
    assert agreement(pairs).lag_ms == pytest.approx(60, abs=15)


def test_other_speech_and_chance_and_a_mouth_that_rests_agree_with_nothing() -> None:
    said, _ = jaw(*SENTENCES)
    other, _ = jaw(OTHER, OTHER)
    length = len(said.times)
    shuffled = Curve(said.times, np.resize(other.values, length))
    assert agreement([(seen(said), shuffled)]).r < 0.25
    mouth = seen(said)
    assert agreement([(Curve(mouth.times, np.full(len(mouth.times), 0.1)), said)]).r == 0
    random = np.random.default_rng(3).normal(0, 1, len(mouth.times))
    assert agreement([(Curve(mouth.times, random), said)]).r < 0.25


def test_lips_that_close_are_told_from_such_that_do_not() -> None:
    said, moments = jaw(*SENTENCES)
    near = np.abs(said.times[:, None] - np.array(moments)).min(axis=1)
    closing = Curve(said.times, (0.3 + said.values) * (1 - np.exp(-((near / 0.06) ** 4))))
    share, chance = closures([(seen(closing, noise=0.005), moments)])
    assert share > 0.9 and chance < share - 0.25
    late, _ = closures([(seen(closing, late_s=0.2), moments)])
    assert late < share - 0.25
    flapping = Curve(said.times, 0.5 + 0.5 * np.sin(said.times * 2 * np.pi * 4))
    flaps, by_chance = closures([(seen(flapping), moments)])
    assert abs(flaps - by_chance) < 0.25


def test_loudness_is_of_the_middle_of_its_window() -> None:
    pcm = np.zeros(48_000, np.int16)
    pcm[24_000:33_600] = 8000
    curve = loudness(pcm, 48_000, T0)
    loud = curve.times[curve.values > curve.values.max() - 3.2]
    assert (loud[0], loud[-1]) == pytest.approx((T0 + 0.5, T0 + 0.7), abs=0.02)
    assert np.ptp(curve.values) == 50


def test_no_lag_beyond_reach_is_told() -> None:
    said, _ = jaw(*SENTENCES)
    assert abs(agreement([(seen(said, 0.9), said)]).lag_ms) <= REACH_S * 1000

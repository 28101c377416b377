"""How well a mouth that was seen goes with what was heard: numbers from curves, nothing else.

    sound   ▁▂▇▅▁▁▆▇▃▁     its loudness, or the jaw of its known phonemes
    mouth    ▁▂▇▅▁▁▆▇▃▁    opening over the time its pictures were shown
            ┤├ lag: by how much the mouth is to be moved back so that both agree best; positive: the picture is late

A picture is shown for 40 ms; its time here is the middle of them. All curves are of one clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP_S = 0.01
REACH_S = 0.4  # farthest lag that is looked for
PICTURE_S = 0.04
CLOSED_WITHIN_S = 0.04
CLOSED_SHARE = 0.25  # of the way from the resting mouth to its wide opening (95 of 100 pictures are narrower)
_CHANCE_SHIFTS = np.arange(0.2, 1.0, 0.05)  # by which closures are moved to tell what chance gives

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """`values` at `times`, both (n,), in order of time."""

    times: Array
    values: Array

    def at(self, times: Array) -> Array:
        return np.interp(times, self.times, self.values)


@dataclass(frozen=True, slots=True)
class Agreement:
    """`lag_ms` at which mouth and sound correlate best, and the correlation `r` there."""

    lag_ms: float
    r: float


def agreement(pairs: Sequence[tuple[Curve, Curve]]) -> Agreement:
    """Of (mouth, sound) of one or several turns, each over the time of its sound; one lag for all of them.

    The peak of the correlation is found between the steps by a parabola."""
    grids = [np.arange(sound.times[0], sound.times[-1], STEP_S) for _, sound in pairs]
    heard = np.concatenate([sound.at(grid) for (_, sound), grid in zip(pairs, grids, strict=True)])
    reach = round(REACH_S / STEP_S)
    lags = np.arange(-reach, reach + 1) * STEP_S
    found = np.array(
        [
            _correlation(heard, np.concatenate([m.at(grid + lag) for (m, _), grid in zip(pairs, grids, strict=True)]))
            for lag in lags
        ]
    )
    best = int(found[1:-1].argmax()) + 1
    before, peak, after = found[best - 1 : best + 2]
    bend = before - 2 * peak + after
    aside = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return Agreement(float(lags[best] + aside * STEP_S) * 1000, float(peak - 0.25 * (before - after) * aside))


def loudness(pcm: NDArray[np.int16], rate: int, start: float) -> Curve:
    """Logarithm of the level in windows of 40 ms, every 10 ms; what is 50 dB below the loudest counts as silence."""
    power = np.convolve(np.square(pcm.astype(np.float64)), np.full(rate // 25, 25 / rate), "same")[:: rate // 100]
    level = 10 * np.log10(power + 1e-9)
    return Curve(start + np.arange(len(level)) / 100, np.maximum(level, level.max() - 50))


def rest_and_wide(mouths: Sequence[Curve]) -> tuple[float, float]:
    """The resting and the wide opening: the 5th and 95th of a hundred pictures."""
    rest, wide = np.percentile(np.concatenate([mouth.values for mouth in mouths]), (5, 95))
    return float(rest), float(wide)


def closures(turns: Sequence[tuple[Curve, Sequence[float]]]) -> tuple[float, float]:
    """(share, chance): of the moments at which lips ought to be closed, given with the mouth of each turn, the share at
    which they are within CLOSED_WITHIN_S; and the same for moments moved away by 0.2 to 1 s either way."""
    rest, wide = rest_and_wide([mouth for mouth, _ in turns])
    bound = rest + CLOSED_SHARE * (wide - rest)

    def share(shift: float) -> float:
        hits = []
        for mouth, moments in turns:
            for moment in moments:
                near = np.arange(moment + shift - CLOSED_WITHIN_S, moment + shift + CLOSED_WITHIN_S + 1e-6, STEP_S)
                if mouth.times[0] <= near[0] and near[-1] <= mouth.times[-1]:
                    hits.append(mouth.at(near).min() < bound)
        return float(np.mean(hits)) if hits else float("nan")

    shifted = [share(sign * shift) for shift in _CHANCE_SHIFTS for sign in (-1, 1)]
    return share(0.0), float(np.nanmean(shifted))


def _correlation(one: Array, other: Array) -> float:
    if one.std() < 1e-9 or other.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])

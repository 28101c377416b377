"""Time drawn: a character is a hop of 32 ms. `#` is speech, `+` between the thresholds, `_` silence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opentalking.config import Settings
from opentalking.turns.vad import HOP, Activity, VoiceActivity
from opentalking.types import Float32

PROBABILITY = {"#": 0.9, "+": 0.4, "_": 0.05}


class Drawn:
    """In place of the network: what the drawing says."""

    def __init__(self) -> None:
        self._left: list[float] = []

    def draw(self, hops: str) -> None:
        self._left += [PROBABILITY[hop] for hop in hops]

    def probability(self, samples: Float32, state: Float32) -> tuple[float, Float32]:
        return self._left.pop(0), state


class Stream:
    """A microphone whose sound is drawn."""

    def __init__(self, settings: Settings) -> None:
        self._drawn = Drawn()
        self._activity = VoiceActivity(self._drawn, settings)

    def hear(self, hops: str) -> Iterator[Activity]:
        for hop in hops:
            self._drawn.draw(hop)
            (activity,) = self._activity.push(np.zeros(HOP, np.int16))
            yield activity

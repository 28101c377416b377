"""Which of the server's pictures belongs to which 40 ms slot of a turn, whatever its frame rate.

A slot shows the picture of its middle. A strict server's answer has the pictures of its own sound message, spread
evenly over it:

    sound      |------- message 0, 14933 samples -------|------- message 1 -------|
    pictures   | 0 | 1 | 2 |        …              | 27 | 0 | 1 |        …
    slots      | 0  | 1  | 2  |       …            | 22 |  23 | 24 |   …

A server that answers when pictures are due (`partial`) is counted from the start of the turn instead: its n-th picture
begins at n / fps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from opentalking.models.remote.wire import Geometry, WireError
from opentalking.types import MODEL_RATE, MODEL_SAMPLES

_Picture = TypeVar("_Picture")


class Timeline(Generic[_Picture]):
    """One turn's pictures by slot. `add` gives the slots that an answer completes, in order, none left out."""

    def __init__(self, geometry: Geometry) -> None:
        self._fps = geometry.fps
        self._by_turn = geometry.partial
        self._heard = 0  # samples that were sent and answered
        self._pictures = 0  # of the turn, so far
        self._slots = 0
        self._newest: _Picture | None = None

    def add(self, pictures: Sequence[_Picture], real: int, sent: int, last: bool) -> list[_Picture]:
        """The pictures of slots that the answer to `sent` samples, `real` of them spoken, makes known.

        With the last answer of a turn all its slots are: one that has no picture of its own repeats the one before."""
        begin, self._heard = self._heard, self._heard + real
        first, self._pictures = self._pictures, self._pictures + len(pictures)
        found: list[_Picture] = []
        while (middle := self._slots * MODEL_SAMPLES + MODEL_SAMPLES // 2) < self._heard:
            if self._by_turn:
                index = middle * self._fps // MODEL_RATE - first
            else:
                index = (middle - begin) * len(pictures) // max(sent, 1) if pictures else 0
            if 0 <= index < len(pictures):
                self._newest = pictures[index]
            elif index >= len(pictures) and self._by_turn and not last:
                break
            if self._newest is None:
                raise WireError("an answer without a picture")
            found.append(self._newest)
            self._slots += 1
        if pictures:
            self._newest = pictures[-1]
        return found

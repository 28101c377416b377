"""The last few seconds of a microphone, by sample."""

from __future__ import annotations

from collections import deque

import numpy as np

from opentalking.types import Int16


class Tape:
    """Keeps at least the last `samples`."""

    def __init__(self, samples: int) -> None:
        self._least = samples
        self._pieces: deque[Int16] = deque()
        self._kept = 0
        self.position = 0  # samples since the beginning

    def append(self, pcm: Int16) -> None:
        """int16 (samples,); copied."""
        self._pieces.append(pcm.copy())
        self._kept += len(pcm)
        self.position += len(pcm)
        while self._kept - len(self._pieces[0]) >= self._least:
            self._kept -= len(self._pieces.popleft())

    def since(self, sample: int) -> Int16:
        """From the stream's `sample`-th on, or from the oldest that is kept."""
        kept = np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)
        oldest = self.position - self._kept
        return kept[max(0, sample - oldest) :]

"""A fragment that several attempts and engines may have to say: what of each is heard, as one sound.

    first engine    ────────────╮ breaks off
    second attempt  ·············skipped: it was heard        ╭──────╮ breaks off again
    next engine     at another rate, with the words that are left      ╭─────────
    heard           ─────────────────────────────────────╲╱─────────╲╱──────────

At a join the value where the sound broke off decays to nothing, then the new sound comes up: 8 ms each.
"""

from __future__ import annotations

import numpy as np

from opentalking.resampling import Resampler
from opentalking.tts.pace import rest_after
from opentalking.types import AudioChunk, Int16

_JOIN_MS = 8


class Said:
    """How far a fragment has come: what was handed on, at the rate of its first chunk, and what is left to say."""

    def __init__(self, text: str) -> None:
        self.left = text
        self._rate = 0
        self._samples = 0  # handed on
        self._since = 0  # handed on when `left` began
        self._skip = 0  # samples of this attempt that were heard already
        self._last = 0
        self._join = False  # whether the next sample joins another sound
        self._to_rise = 0  # samples of the join's fade-in that are to come
        self._resampler: Resampler | None = None
        self._source_rate = 0

    @property
    def seconds(self) -> float:
        return self._samples / self._rate if self._rate else 0.0

    def begin(self, skipping: bool) -> None:
        """An engine begins with `left`; `skipping` what the attempt before this one has said of it."""
        self._skip = self._samples - self._since if skipping else 0
        self._join = self._samples > 0
        self._source_rate, self._resampler = 0, None

    def turn_to_the_rest(self, pace: float) -> None:
        """Another engine goes on: from the word that was being said, by the time that was heard.

        `pace`: how much longer than usual the voice takes for a text."""
        heard_s = (self._samples - self._since) / self._rate if self._rate else 0.0
        if heard_s:
            self.left = rest_after(self.left, heard_s / pace)
        self._since = self._samples

    def take(self, chunk: AudioChunk) -> AudioChunk | None:
        """What of this chunk is handed on; None if nothing of it is new."""
        self._rate = self._rate or chunk.sample_rate
        if chunk.sample_rate != self._source_rate:
            self._source_rate = chunk.sample_rate
            self._resampler = None if chunk.sample_rate == self._rate else Resampler(chunk.sample_rate, self._rate)
        if self._resampler is None:
            return self._new(chunk.data)
        self._resampler.push(chunk.data)
        return self._new(self._resampler.take(self._resampler.waiting))

    def rest(self) -> AudioChunk | None:
        """The engine is done: what the resampler still held."""
        if self._resampler is None:
            return None
        self._resampler.finish(1)
        return self._new(self._resampler.take(self._resampler.waiting))

    def _new(self, data: Int16) -> AudioChunk | None:
        data, self._skip = data[self._skip :], max(0, self._skip - len(data))
        if not len(data):
            return None
        fade = _JOIN_MS * self._rate // 1000
        before = np.zeros(0, np.int16)
        if self._join:
            before, self._to_rise, self._join = decay(self._last, fade), fade, False
        if self._to_rise:
            data, self._to_rise = rising(data, self._to_rise, fade), max(0, self._to_rise - len(data))
        data = np.concatenate([before, data])
        self._samples += len(data)
        self._last = int(data[-1])
        return AudioChunk(data, self._rate)


def decay(last: int, samples: int) -> Int16:
    """From the value where a sound broke off to zero: steepest at once, where the sound was moving anyway."""
    decayed: Int16 = np.rint(last * (np.arange(samples)[::-1] / samples) ** 2).astype(np.int16)
    return decayed


def rising(data: Int16, to_come: int, fade: int) -> Int16:
    """Sound of which the last `to_come` of `fade` samples of a fade-in are to come."""
    gain = np.minimum((fade - to_come + np.arange(len(data))) / fade, 1)
    risen: Int16 = np.rint(data * gain).astype(np.int16)
    return risen

"""A driver of a LateAdapter, as the inference process is one: hears while it may, collects what has arrived."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from opentalking.models.adapter import LateAdapter
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16

from .tone import CLICK_PITCHES

PATIENCE_S = 60.0


class LateDriver:
    """One stream of an adapter, driven from the test's thread."""

    def __init__(self, adapter: LateAdapter, avatar: Any) -> None:
        self.adapter = adapter
        self.stream = adapter.open_stream(avatar)
        self.first_s = 0.0  # from the beginning of the last `speak` to its first prediction
        self._woken = threading.Event()
        adapter.listen(self.stream, self._woken.set)

    def close(self) -> None:
        self.adapter.close_stream(self.stream)

    def speak(self, slots: Int16, ends: bool = True, enough: int | None = None) -> list[Any]:
        """Hand over int16 (n, 640) as it is taken, and return as many predictions: all, or when there are `enough`."""
        found: list[Any] = []
        heard = 0
        began = time.monotonic()
        deadline = began + PATIENCE_S
        while len(found) < (len(slots) if enough is None else enough):
            self._woken.clear()
            while heard < len(slots) and self.adapter.can_take(self.stream):
                self.hear(slots[heard])
                heard += 1
                if heard == len(slots) and ends:
                    self.end()
            if self.adapter.arrived(self.stream):
                self.first_s = self.first_s if found else time.monotonic() - began
                found += self.adapter.collect(self.stream)
                continue
            if not self._woken.wait(deadline - time.monotonic()):
                raise TimeoutError(f"{len(found)} of {len(slots)} predictions after {PATIENCE_S} s")
        return found

    def hear(self, slot: Int16) -> None:
        features = self.adapter.extract_features(AudioChunk(slot, MODEL_RATE), self.stream)
        assert self.adapter.infer(features, self.stream) == []

    def end(self) -> None:
        assert self.adapter.infer(self.adapter.extract_features(None, self.stream), self.stream) == []

    def until_arrived(self) -> None:
        """Until there is something to collect."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.adapter.arrived(self.stream):
            if not self._woken.wait(deadline - time.monotonic()):
                raise TimeoutError(f"nothing arrived within {PATIENCE_S} s")
            self._woken.clear()


def pitches(count: int, first: int = 0) -> list[int]:
    """Of so many slots, each another than its neighbours'."""
    return [CLICK_PITCHES[(first + slot) % len(CLICK_PITCHES)] for slot in range(count)]


def tones(hertz: list[int]) -> Int16:
    """int16 (n, 640): a slot of each pitch, half as loud as the mirror shows, because JPEG knows no bright colours."""
    time_s = np.arange(MODEL_SAMPLES) / MODEL_RATE
    return np.stack([2600 * np.sin(2 * np.pi * pitch * time_s) for pitch in hertz]).astype(np.int16)

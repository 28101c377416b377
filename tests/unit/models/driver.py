"""An adapter driven as the inference process drives it: chunk by chunk, predictions in order, pictures in I420."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from opentalking.models.adapter import AvatarState, LateAdapter, ModelAdapter
from opentalking.types import AudioChunk, UInt8, i420_shape

_ANSWER_S = 20.0  # what comes from elsewhere must come within


class Driver:
    """One session of an adapter. Of a model that answers late, `hear` hands over and `wait_for` collects."""

    def __init__(self, adapter: ModelAdapter, avatar: AvatarState) -> None:
        self.adapter, self.avatar = adapter, avatar
        self.stream = adapter.open_stream(avatar)
        self.predictions: list[Any] = []  # of the turn
        self.chunks = 0
        self._changed = threading.Event()
        if isinstance(adapter, LateAdapter):
            adapter.listen(self.stream, self._changed.set)

    def hear(self, chunk: AudioChunk | None) -> None:
        """One chunk, or None: the end of the turn, after which all its predictions are there."""
        adapter = self.adapter
        if isinstance(adapter, LateAdapter) and chunk is not None:
            self._until(lambda: adapter.can_take(self.stream))
        self.predictions += adapter.infer(adapter.extract_features(chunk, self.stream), self.stream)
        self.chunks += chunk is not None
        if chunk is None:
            self.wait_for(self.chunks)

    def turn(self, chunks: Iterable[AudioChunk]) -> list[Any]:
        """The predictions of a whole turn; the next may begin."""
        for chunk in [*chunks, None]:
            self.hear(chunk)
        taken, self.predictions, self.chunks = self.predictions, [], 0
        return taken

    def wait_for(self, count: int) -> None:
        """Until so many predictions of the turn are there; those of other models are there at once."""
        if isinstance(self.adapter, LateAdapter):
            self._until(lambda: len(self.predictions) >= count)

    def reset(self) -> None:
        self.adapter.reset(self.stream)
        self.predictions, self.chunks = [], 0

    def pictures(self, predictions: Sequence[Any], pose: int = 0) -> UInt8:
        """As they are drawn, one after the other from that pose on."""
        shape = i420_shape(self.avatar.width, self.avatar.height)
        drawn = np.full((len(predictions), *shape), 7, np.uint8)  # what was in the slot before
        for number, (prediction, out) in enumerate(zip(predictions, drawn, strict=True)):
            self.adapter.compose_frame(self.stream, (pose + number) % self.avatar.idle_frames, prediction, out)
        return drawn

    def close(self) -> None:
        if isinstance(self.adapter, LateAdapter):
            self.adapter.close_stream(self.stream)

    def _until(self, condition: Callable[[], bool]) -> None:
        """Late models: collect whatever is there whenever something changed."""
        adapter = self.adapter
        assert isinstance(adapter, LateAdapter)
        while True:
            self._changed.clear()
            if adapter.arrived(self.stream):
                self.predictions += adapter.collect(self.stream)
            if condition():
                return
            assert self._changed.wait(_ANSWER_S), f"{len(self.predictions)} predictions of {self.chunks} chunks came"


def idle_loop(adapter: ModelAdapter, avatar: AvatarState) -> UInt8:
    """As the inference process renders it, uint8 (idle_frames, height*3//2, width)."""
    frames = np.full((avatar.idle_frames, *i420_shape(avatar.width, avatar.height)), 7, np.uint8)
    for pose, out in enumerate(frames):
        adapter.idle_frame(avatar, pose, out)
    return frames

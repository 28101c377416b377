"""The model's thread, which all sessions share; chunks of several sessions are computed together if the model can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np

from opentalking.models.adapter import AvatarState, BatchingAdapter, ModelAdapter
from opentalking.types import AudioChunk, UInt8, i420_shape

_ENCODERS = 2
_ENCODED = 5  # pictures, to see how long it takes

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Wish:
    """The next chunk of a stream, None at a turn's end, and where its predictions go."""

    chunk: AudioChunk | None
    stream: Any
    predictions: asyncio.Future[list[Any]]


class Device:
    """Runs one adapter. All calls of it come from one thread; pictures are encoded on others."""

    def __init__(self, adapter: ModelAdapter, jpeg_quality: int) -> None:
        self.adapter = adapter
        self._quality = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality]
        self._thread = ThreadPoolExecutor(1, "device")
        self._encoders = ThreadPoolExecutor(_ENCODERS, "encode")
        self._wishes: list[_Wish] = []
        self._computing: asyncio.Task[None] | None = None

    async def run(self, call: Callable[..., _Result], *arguments: Any) -> _Result:
        """Call something of the adapter on its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)

    async def predict(self, chunk: AudioChunk | None, stream: Any) -> list[Any]:
        """Predictions that a chunk makes due. A stream's next chunk is given when this has returned."""
        if not isinstance(self.adapter, BatchingAdapter):
            return await self.run(self._one, chunk, stream)
        wish = _Wish(chunk, stream, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        if self._computing is None:
            self._computing = asyncio.create_task(self._compute(self.adapter))
        return await wish.predictions

    async def picture(
        self, avatar: AvatarState, stream: Any, pose: int, prediction: Any | None
    ) -> asyncio.Future[bytes]:
        """Draw a talking frame, or the idle one if there is no prediction; its JPEG comes while the next is drawn."""
        frame = await self.run(self._draw, avatar, stream, pose, prediction)
        return asyncio.get_running_loop().run_in_executor(self._encoders, self._encode, frame)

    def encoding_ms(self, avatar: AvatarState) -> float:
        """What the JPEG of one of its pictures takes, ms: the least of a few."""
        frame, taken = self._draw(avatar, None, 0, None), []
        for _ in range(_ENCODED):
            began = time.perf_counter()
            self._encode(frame)
            taken.append(time.perf_counter() - began)
        return min(taken) * 1000

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._encoders.shutdown(cancel_futures=True)

    def _one(self, chunk: AudioChunk | None, stream: Any) -> list[Any]:
        return self.adapter.infer(self.adapter.extract_features(chunk, stream), stream)

    async def _compute(self, adapter: BatchingAdapter) -> None:
        """While there are wishes: those that came while the last pass ran are one pass."""
        while self._wishes:
            together, self._wishes = self._wishes[: adapter.max_batch], self._wishes[adapter.max_batch :]
            try:
                answers = await self.run(_together, adapter, together)
            except Exception as error:
                for wish in together:
                    if not wish.predictions.done():
                        wish.predictions.set_exception(error)
                continue
            for wish, predictions in zip(together, answers, strict=True):
                if not wish.predictions.done():
                    wish.predictions.set_result(predictions)
        self._computing = None

    def _draw(self, avatar: AvatarState, stream: Any, pose: int, prediction: Any | None) -> UInt8:
        out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
        if prediction is None:
            self.adapter.idle_frame(avatar, pose, out)
        else:
            self.adapter.compose_frame(stream, pose, prediction, out)
        return out

    def _encode(self, i420: UInt8) -> bytes:
        done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), self._quality)
        if not done:
            raise RuntimeError("a picture cannot be written as JPEG")
        return bytes(jpeg.tobytes())


def _together(adapter: BatchingAdapter, wishes: list[_Wish]) -> list[list[Any]]:
    return adapter.infer_batch([(adapter.extract_features(wish.chunk, wish.stream), wish.stream) for wish in wishes])

"""One session's way from PCM slots to AV slots.

    pcm ring ──> extract_features, infer ──> prediction ┐
             └─> the slot's sound waits ───────────────┴──> compose_frame into an av slot ──> publish

A model with look-ahead answers late: sounds wait in `_sounds` until their prediction comes. The n-th prediction of a
turn belongs to its n-th slot; the end of the turn flushes what is owed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentalking.models.adapter import AvatarState, ModelAdapter
from opentalking.slots import SlotFlags, SlotInfo, av_views, unpack_pcm, write_av_header
from opentalking.types import MODEL_RATE, AudioChunk, Int16
from shm import Writer
from workers import links

_START_POSE_LEAD = 2  # frames that pass between rendering a turn's first frame and showing it

RunOnDevice = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Sound:
    """A slot's sound, waiting for its picture."""

    info: SlotInfo
    playback: Int16


class RenderSession:
    """State of one session in the inference process; rings are touched by the loop's thread only."""

    def __init__(self, adapter: ModelAdapter, avatar: AvatarState, folder: Path, face: int = 0) -> None:
        self._adapter = adapter
        self._avatar = avatar
        self._stream = adapter.open_stream(avatar)
        self.board = links.open_board(folder, Writer.INFERENCE)
        self._pcm = links.pcm_consumer(folder)
        self._av = links.av_producer(folder, avatar.width, avatar.height, face)
        self._generation = 0
        self._sounds: deque[_Sound] = deque()
        self._predictions: deque[Any] = deque()
        self._pose = 0
        self.lock = asyncio.Lock()  # held while a step runs, and to close
        self.closed = False
        self._wake: Callable[[], None] = lambda: None
        self._drawn: asyncio.Event | None = None  # once it hears no more: whether all that it heard is drawn

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` when there may be something to do: sound came, or a picture was taken."""

        def look() -> None:
            self._pcm.depth, self._av.depth  # noqa: B018 - reading them empties the doorbells
            wake()

        self._wake = wake
        self._pcm.listen(look)
        self._av.listen(look)

    @property
    def generation(self) -> int:
        """Of the turn in progress, or the one before."""
        return self._generation

    async def retire(self, on_device: RunOnDevice) -> asyncio.Event:
        """Hear no more: another face hears the rest of the turn. The event is set when all that was heard is drawn."""
        async with self.lock:
            drawn = self._drawn = asyncio.Event()
            if len(self._sounds) > len(self._predictions):
                self._predictions.extend(await on_device(self._flush))
        self._wake()
        return drawn

    def come_back(self) -> None:
        """Hear again: there is no other face."""
        self._drawn = None
        self._wake()

    @property
    def buffered(self) -> int:
        """Frames rendered and not yet shown."""
        return self._av.depth

    def levels(self) -> dict[str, int]:
        """Slots that wait in either ring. This empties their doorbells: whoever asks must look for work afterwards."""
        return {"pcm": self._pcm.depth, "av": self._av.depth}

    def can_progress(self) -> bool:
        """Whether `step` would render or hear something; drops what an interrupt made stale."""
        if self._generation < self.board.generation:
            self.abandon_turn()
        if self._predictions:
            return self._av.try_claim() is not None
        if self._drawn is not None:
            self._drawn.set()
            return False
        return self._pcm.front(self.board.generation) is not None and self._av.try_claim() is not None

    def abandon_turn(self) -> None:
        """Forget the turn in progress: what is left of it, here and in the ring, will not be rendered."""
        self._sounds.clear()
        self._predictions.clear()
        self._adapter.reset(self._stream)
        self._generation = self.board.generation
        self._pcm.front(self._generation)

    async def step(self, on_device: RunOnDevice) -> None:
        """Hear slots until a prediction is due, then draw and publish one frame."""
        while not self._predictions:
            if not await self._hear(on_device):
                return
        await self._draw(on_device)

    async def _hear(self, on_device: RunOnDevice) -> bool:
        slot = self._pcm.front(self.board.generation)
        if slot is None:
            return False
        if slot.generation != self._generation:  # a new turn; whatever of the old one is left belongs to nobody
            self.board.raise_generation(slot.generation)
            self.abandon_turn()
        self.board.write_begun(slot.generation)
        info, model_pcm, playback = unpack_pcm(slot.payload)
        self._sounds.append(_Sound(info, playback.copy()))
        chunk = AudioChunk(model_pcm.copy(), MODEL_RATE)
        self._pcm.advance()
        ends = bool(info.flags & SlotFlags.TURN_END)
        self._predictions.extend(await on_device(self._predict, chunk, ends))
        return True

    def _predict(self, chunk: AudioChunk, ends: bool) -> list[Any]:
        adapter, stream = self._adapter, self._stream
        predictions = adapter.infer(adapter.extract_features(chunk, stream), stream)
        return [*predictions, *self._flush()] if ends else predictions

    def _flush(self) -> list[Any]:
        """What is owed to the sounds that were heard."""
        adapter, stream = self._adapter, self._stream
        return adapter.infer(adapter.extract_features(None, stream), stream)

    async def _draw(self, on_device: RunOnDevice) -> None:
        payload = self._av.try_claim()
        if payload is None:
            return
        sound, prediction = self._sounds.popleft(), self._predictions.popleft()
        if sound.info.flags & SlotFlags.TURN_START:
            self._pose = (self.board.pose + _START_POSE_LEAD) % self._avatar.idle_frames
        views = av_views(payload, self._avatar.width, self._avatar.height)
        generation, pose = self._generation, self._pose
        self._pose = (pose + 1) % self._avatar.idle_frames
        write_av_header(payload, sound.info, pose)
        views.pcm[:] = sound.playback
        await on_device(self._adapter.compose_frame, self._stream, pose, prediction, views.frame)
        self._av.publish(generation)
        if sound.info.flags & SlotFlags.TURN_START:
            self.board.write_first_frame(generation, time.time())

    def close(self) -> None:
        self.closed = True
        self._pcm.close()
        self._av.close()
        self.board.close()

"""One session's way from PCM slots to AV slots.

    pcm ring ──> extract_features, infer ──> prediction ┐
             └─> the slot's sound waits ───────────────┴──> compose_frame into an av slot ──> publish

A model with look-ahead answers late: sounds wait in `_sounds` until their prediction comes. The n-th prediction of a
turn belongs to its n-th slot; the end of the turn flushes what is owed.

A local model hears one slot when there is no prediction left to draw; `hear_together` lets several sessions of a model
that batches do so in one pass. A model that runs elsewhere hears as much as it can take, and what it answers is
collected when it has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentalking.models.adapter import AvatarState, BatchingAdapter, LateAdapter, ModelAdapter
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


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a model is about to hear of one stream: 40 ms, and whether the turn ends with them."""

    stream: Any
    chunk: AudioChunk
    ends: bool


class RenderSession:
    """State of one session in the inference process; rings are touched by the loop's thread only."""

    def __init__(self, adapter: ModelAdapter, avatar: AvatarState, folder: Path, face: int = 0) -> None:
        self.adapter = adapter
        self._late = adapter if isinstance(adapter, LateAdapter) else None
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
        self._flushed = False  # whether the model knows that the turn is over
        self._drawn: asyncio.Event | None = None  # once it hears no more: whether all that it heard is drawn

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` when there may be something to do: sound came, a picture was taken, or an answer came."""

        def look() -> None:
            self._pcm.depth, self._av.depth  # noqa: B018 - reading them empties the doorbells
            wake()

        self._wake = wake
        self._pcm.listen(look)
        self._av.listen(look)
        if self._late is not None:
            loop = asyncio.get_running_loop()

            def wake_from_elsewhere() -> None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to wake
                    loop.call_soon_threadsafe(wake)

            self._late.listen(self._stream, wake_from_elsewhere)

    @property
    def generation(self) -> int:
        """Of the turn in progress, or the one before."""
        return self._generation

    async def retire(self, on_device: RunOnDevice) -> asyncio.Event:
        """Hear no more: another face hears the rest of the turn. The event is set when all that was heard is drawn."""
        async with self.lock:
            drawn = self._drawn = asyncio.Event()
            if len(self._sounds) > len(self._predictions) and not self._flushed:
                self._predictions.extend(await on_device(_flush, self.adapter, self._stream))
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
        """Whether `step` would do something; drops what an interrupt made stale."""
        if self._generation < self.board.generation:
            self.abandon_turn()
        if self._drawn is not None and not self._sounds:
            self._drawn.set()
        answered = self._late is not None and self._late.arrived(self._stream)
        return answered or self.can_draw or self.can_hear

    @property
    def can_draw(self) -> bool:
        """Whether there is a prediction, and room for its frame."""
        return bool(self._predictions) and self._av.try_claim() is not None

    @property
    def can_hear(self) -> bool:
        """Whether there is sound, and the model should have it now: a local one only if its frame would find room."""
        if self._drawn is not None or self._pcm.front(self.board.generation) is None:
            return False
        if self._late is not None:
            return self._late.can_take(self._stream)
        return not self._predictions and self._av.try_claim() is not None

    def abandon_turn(self) -> None:
        """Forget the turn in progress: what is left of it, here and in the ring, will not be rendered."""
        self._sounds.clear()
        self._predictions.clear()
        self.adapter.reset(self._stream)
        self._generation = self.board.generation
        self._pcm.front(self._generation)

    async def step(self, on_device: RunOnDevice) -> None:
        """Hear slots until a prediction is due, then draw and publish one frame.

        Raises ModelError if a model that runs elsewhere has lost the turn."""
        if self._late is not None and self._late.arrived(self._stream):
            self._predictions.extend(self._late.collect(self._stream))
        while self.can_hear:
            await hear_together([self], on_device)
        await self._draw(on_device)

    def take(self) -> _Heard | None:
        """The next slot's sound; None if an interrupt left nothing, or another face is to hear it."""
        slot = self._pcm.front(self.board.generation) if self._drawn is None else None
        if slot is None:
            return None
        if slot.generation != self._generation:  # a new turn; whatever of the old one is left belongs to nobody
            self.board.raise_generation(slot.generation)
            self.abandon_turn()
        self.board.write_begun(slot.generation)
        info, model_pcm, playback = unpack_pcm(slot.payload)
        self._sounds.append(_Sound(info, playback.copy()))
        chunk = AudioChunk(model_pcm.copy(), MODEL_RATE)
        self._pcm.advance()
        self._flushed = bool(info.flags & SlotFlags.TURN_END)
        return _Heard(self._stream, chunk, self._flushed)

    def predicted(self, predictions: Sequence[Any]) -> None:
        """Take what the model made of what was heard."""
        self._predictions.extend(predictions)

    async def _draw(self, on_device: RunOnDevice) -> None:
        payload = self._av.try_claim() if self._predictions else None
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
        await on_device(self.adapter.compose_frame, self._stream, pose, prediction, views.frame)
        self._av.publish(generation)
        if sound.info.flags & SlotFlags.TURN_START:
            self.board.write_first_frame(generation, time.time())

    def close(self) -> None:
        self.closed = True
        if self._late is not None:
            self._late.close_stream(self._stream)
        self._pcm.close()
        self._av.close()
        self.board.close()


async def hear_together(sessions: Sequence[RenderSession], on_device: RunOnDevice) -> None:
    """One slot of each session, all of one adapter, through the model: in one pass if there are several."""
    heard = [(session, taken) for session in sessions if (taken := session.take()) is not None]
    if not heard:
        return
    found = await on_device(_predict, sessions[0].adapter, [taken for _, taken in heard])
    for (session, _), predictions in zip(heard, found, strict=True):
        session.predicted(predictions)


def _predict(adapter: ModelAdapter, heard: Sequence[_Heard]) -> list[list[Any]]:
    work = [(adapter.extract_features(one.chunk, one.stream), one.stream) for one in heard]
    if len(work) > 1 and isinstance(adapter, BatchingAdapter):
        found = adapter.infer_batch(work)
    else:
        found = [adapter.infer(features, stream) for features, stream in work]
    for one, predictions in zip(heard, found, strict=True):
        if one.ends:
            predictions += _flush(adapter, one.stream)
    return found


def _flush(adapter: ModelAdapter, stream: Any) -> list[Any]:
    """Tell a model that the turn is over; what it still owes, unless it answers late."""
    return adapter.infer(adapter.extract_features(None, stream), stream)

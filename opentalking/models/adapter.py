"""What a face must be able to do: PCM in, pictures out.

    AudioChunk (40 ms, 16 kHz) ──extract_features──> features ──infer──> predictions ──compose_frame──> I420 in the slot
                                   (carries context in the stream)        one per 40 ms frame

An adapter is created once a process. `load_avatar` is called once an avatar and its result is shared by every session
of that avatar; `open_stream` makes the small state that one session carries from chunk to chunk. A model may withhold
predictions until it has `chunk_ms` of sound to work on and has heard `lookahead_ms` more; after `None` (end of turn) it
must produce exactly one prediction per 40 ms chunk that it was given.

Two kinds of model can say more of themselves:

    BatchingAdapter   one forward pass serves the next chunks of several sessions, which costs a GPU hardly more
    LateAdapter       the model runs elsewhere: `infer` hands sound over, predictions come later, and are collected
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from opentalking.types import AudioChunk, UInt8


class AvatarState(Protocol):
    """What every adapter's avatar state tells; the rest is the adapter's own. Shared by sessions: never written."""

    width: int
    height: int
    fps: int
    idle_frames: int  # length of the seamless idle loop, in frames


@runtime_checkable
class ModelAdapter(Protocol):
    """A synthesis model. All calls of one adapter come from one thread."""

    model_type: str
    chunk_ms: int  # audio taken in one step; the driver feeds chunks of 40 ms, `chunk_ms` is a multiple of it
    lookahead_ms: int  # audio beyond a frame's end that must be heard before the frame exists

    def load_model(self, device: str) -> None:
        """Load weights onto `device` ("cpu", "cuda:0"); once a process. Raises ModelError with what is missing."""

    def load_avatar(self, path: Path) -> AvatarState:
        """Read a bundle directory. Raises opentalking.avatars.AvatarError naming the file or field that is wrong."""

    def open_stream(self, avatar: AvatarState) -> Any:
        """Fresh per-session state (audio context, recurrent state)."""

    def warmup(self, avatar: AvatarState) -> None:
        """Run one chunk through every step so that the first real one is not slow."""

    def extract_features(self, chunk: AudioChunk | None, stream: Any) -> Any:
        """Features of one 40 ms chunk at 16 kHz, with the stream's left context; None ends the turn and flushes."""

    def infer(self, features: Any, stream: Any) -> list[Any]:
        """Predictions that became due, in order, one per output frame; may be empty while look-ahead fills."""

    def compose_frame(self, stream: Any, pose: int, prediction: Any, out: UInt8) -> None:
        """Draw one talking frame into `out`, uint8 I420 (height*3//2, width), at idle-loop position `pose`."""

    def use_idle_clip(self, avatar: AvatarState, clip: UInt8) -> None:
        """The avatar's idle loop as `idle_frame` rendered it, uint8 (idle_frames, height*3//2, width), read-only.

        An adapter may paste onto it what differs, or ignore it. Called once, before any session of the avatar."""

    def idle_frame(self, avatar: AvatarState, pose: int, out: UInt8) -> None:
        """Draw the silent frame of idle-loop position `pose` into `out`; position idle_frames-1 joins position 0."""

    def reset(self, stream: Any) -> None:
        """Forget the current turn (interrupted or finished)."""


@runtime_checkable
class BatchingAdapter(ModelAdapter, Protocol):
    """A model that computes several sessions' chunks at once."""

    max_batch: int  # chunks that one pass takes at most; each is of another stream

    def infer_batch(self, work: Sequence[tuple[Any, Any]]) -> list[list[Any]]:
        """`infer` for each (features, stream), in one pass. Gives what `infer` would give for each alone."""


@runtime_checkable
class LateAdapter(ModelAdapter, Protocol):
    """A model that answers from elsewhere. `infer` only hands over and returns []; no call of it waits for a network.

    Predictions are collected in order. A turn that was reset leaves none behind, whatever still comes in for it.
    """

    def listen(self, stream: Any, wake: Callable[[], None]) -> None:
        """Call `wake`, from any thread, whenever `arrived` or `can_take` may have changed. Once a stream."""

    def can_take(self, stream: Any) -> bool:
        """Whether another 40 ms chunk may be handed over now: back-pressure toward the speech worker."""

    def arrived(self, stream: Any) -> bool:
        """Whether `collect` has something: predictions, or the news that the turn is lost."""

    def collect(self, stream: Any) -> list[Any]:
        """Predictions that came since. Raises ModelError if this turn cannot be drawn; the next one may."""

    def close_stream(self, stream: Any) -> None:
        """Let go of the stream's connection; it is not used again."""


class ModelError(Exception):
    """A model cannot be loaded or run; the message says what to do about it.

    `reason` is the stable code of GET /models: local_adapter_missing, not_configured, omnirt_unavailable,
    direct_ws_unavailable, too_slow.
    """

    def __init__(self, message: str, reason: str = "local_adapter_missing") -> None:
        super().__init__(message)
        self.reason = reason

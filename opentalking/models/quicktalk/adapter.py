"""The quicktalk model: a recurrent network that draws the mouth anew, from what a speech encoder hears.

extract_features  640 samples, as they are
infer             hearing.py: every CHUNK_FRAMES chunks the encoder runs once; each frame gets its ten vectors
compose_frame     the template's face of that pose, the vectors, the state ──network──> mouth into the idle picture

The network runs where the frame is drawn, because what it draws on is the picture of that very pose. It takes one frame
after the other, so sessions cannot share a pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from opentalking.avatars import AvatarError, read_bundle
from opentalking.config import Settings, settings
from opentalking.models.adapter import ModelError
from opentalking.models.quicktalk.assets import find_assets
from opentalking.models.quicktalk.crop import Crop, Repair, network_face, paste, read_repair
from opentalking.models.quicktalk.hearing import FIELD, HOP, RIGHT_FRAMES, Encoder, Hearing, HubertEncoder
from opentalking.models.quicktalk.network import WINDOW, LipNetwork, State, fresh_state
from opentalking.models.quicktalk.template import TemplateFrame, frame_of_pose, read_template
from opentalking.types import FPS, FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, Float32, UInt8, i420_shape

T = TypeVar("T")

CHUNK_FRAMES = 6
VECTORS = MODEL_RATE // HOP // FPS  # of sound a frame: 2
LOOKAHEAD_FRAMES = -(-((WINDOW - VECTORS + RIGHT_FRAMES - 1) * HOP + FIELD) // MODEL_SAMPLES)  # 6: 240 ms
STILL_FRAMES = 2 * FPS  # the idle loop of a single picture: no shorter, for each one begins with a keyframe

_ONSET = (1 / 3, 2 / 3)  # how much of a turn's first frames is the network's
_RELEASE = (0.75, 0.5, 0.25)  # and of its last


class QuickTalkAvatar:
    """A template ready to be drawn on; shared between sessions, written only to give it its idle loop."""

    def __init__(self, width: int, height: int, frames: list[TemplateFrame]) -> None:
        self.width, self.height = width, height
        self.fps = FPS
        self.idle_frames = STILL_FRAMES if len(frames) == 1 else 2 * len(frames) - 2
        self._crops = [frame.crop for frame in frames]
        self._idle: list[UInt8] | UInt8 = [
            frames[frame_of_pose(pose, len(frames))].i420 for pose in range(self.idle_frames)
        ]

    def crop(self, pose: int) -> Crop:
        return self._crops[frame_of_pose(pose % self.idle_frames, len(self._crops))]

    def idle(self, pose: int) -> UInt8:
        return self._idle[pose % self.idle_frames]

    def use_idle_clip(self, clip: UInt8) -> None:
        """The same pictures, mapped from a file that all processes share."""
        if clip.shape != (self.idle_frames, *i420_shape(self.width, self.height)):
            raise ValueError(f"an idle clip of {clip.shape} is not {self.idle_frames} frames of this avatar")
        self._idle = clip


@dataclass(frozen=True, slots=True)
class Heard:
    """The prediction of one frame: its number in the turn, its vectors, float32 (10, 1024), and how much of what the
    network makes of them is shown."""

    number: int
    vectors: Float32
    share: float


@dataclass(slots=True)
class QuickTalkStream:
    """What one session carries. `state` is the network's after `drawn`, `before` the one it was drawn from."""

    avatar: QuickTalkAvatar
    hearing: Hearing
    chunks: int = 0  # of the turn
    frames: int = 0  # given as predictions
    vectors: Float32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # from frame `frames` on
    state: State = field(default_factory=fresh_state)
    before: State = field(default_factory=fresh_state)
    drawn: Heard | None = None


class QuickTalkAdapter:
    """The ModelAdapter of model type "quicktalk"."""

    model_type = "quicktalk"
    chunk_ms = CHUNK_FRAMES * FRAME_MS
    lookahead_ms = LOOKAHEAD_FRAMES * FRAME_MS

    def __init__(self, config: Settings | None = None) -> None:
        self._config = config
        self._encoder: Encoder | None = None
        self._network: LipNetwork | None = None
        self._repair: Repair | None = None

    def load_model(self, device: str) -> None:
        """Find the files, then load them. Raises ModelError with what is missing; then nothing heavy was imported."""
        config = self._config or settings()
        assets = find_assets(config)
        self._repair = read_repair(assets.repair)
        self._network = LipNetwork(assets.network, device, config.quicktalk_threads)
        self._encoder = HubertEncoder(assets.encoder, device, config.quicktalk_threads)

    def load_avatar(self, path: Path) -> QuickTalkAvatar:
        bundle = read_bundle(path)
        manifest = bundle.manifest
        if manifest.fps != FPS:
            raise AvatarError(
                f"{bundle.id}/manifest.json: fps: this model draws {FPS} frames a second, not {manifest.fps}"
            )
        return QuickTalkAvatar(manifest.width, manifest.height, read_template(bundle, _loaded(self._repair)))

    def open_stream(self, avatar: QuickTalkAvatar) -> QuickTalkStream:
        return QuickTalkStream(avatar, Hearing(_loaded(self._encoder)))

    def warmup(self, avatar: QuickTalkAvatar) -> None:
        stream = self.open_stream(avatar)
        silence = AudioChunk(np.zeros(MODEL_SAMPLES, np.int16), MODEL_RATE)
        out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
        for chunk in (silence, None):
            for heard in self.infer(self.extract_features(chunk, stream), stream):
                self.compose_frame(stream, 0, heard, out)

    def extract_features(self, chunk: AudioChunk | None, stream: QuickTalkStream) -> Float32 | None:
        """The chunk as float32 (640,) in -1..1; None ends the turn. The vectors are made a few chunks at a time."""
        if chunk is None:
            return None
        if chunk.sample_rate != MODEL_RATE:
            raise ValueError(f"the quicktalk model hears {MODEL_RATE} Hz, not {chunk.sample_rate}")
        return chunk.data.astype(np.float32) / np.float32(32768)

    def infer(self, features: Float32 | None, stream: QuickTalkStream) -> list[Heard]:
        """The frames that became due: CHUNK_FRAMES at once, or at the end of the turn all that are owed."""
        if features is not None:
            stream.hearing.push(features)
            stream.chunks += 1
            due = stream.chunks - LOOKAHEAD_FRAMES - stream.frames
            return self._frames(stream, CHUNK_FRAMES) if due >= CHUNK_FRAMES else []
        owed = stream.chunks - stream.frames
        stream.hearing.push(np.zeros(LOOKAHEAD_FRAMES * MODEL_SAMPLES, np.float32))
        heard = self._frames(stream, owed, last=True) if owed else []
        self._forget_sound(stream)
        return heard

    def compose_frame(self, stream: QuickTalkStream, pose: int, prediction: Heard, out: UInt8) -> None:
        """Draw the mouth on the template's frame of that pose. A frame drawn twice running is the same twice."""
        if prediction is not stream.drawn:
            stream.before = fresh_state() if prediction.number == 0 else stream.state
        repair, crop = _loaded(self._repair), stream.avatar.crop(pose)
        image, stream.state = _loaded(self._network)(prediction.vectors, network_face(crop, repair), stream.before)
        stream.drawn = prediction
        np.copyto(out, stream.avatar.idle(pose))
        paste(image, crop, prediction.share, out)

    def use_idle_clip(self, avatar: QuickTalkAvatar, clip: UInt8) -> None:
        avatar.use_idle_clip(clip)

    def idle_frame(self, avatar: QuickTalkAvatar, pose: int, out: UInt8) -> None:
        np.copyto(out, avatar.idle(pose))

    def reset(self, stream: QuickTalkStream) -> None:
        self._forget_sound(stream)
        stream.state, stream.drawn = fresh_state(), None

    def _forget_sound(self, stream: QuickTalkStream) -> None:
        """The next turn begins; what is still to be drawn of this one carries its vectors, and needs the state."""
        stream.hearing = Hearing(_loaded(self._encoder))
        stream.chunks = stream.frames = 0
        stream.vectors = np.zeros((0, 0), np.float32)

    @staticmethod
    def _frames(stream: QuickTalkStream, count: int, last: bool = False) -> list[Heard]:
        """The next `count` frames; their sound has been heard."""
        more = stream.hearing.take(VECTORS * (count - 1) + WINDOW - len(stream.vectors))
        vectors = np.concatenate([stream.vectors, more]) if len(stream.vectors) else more
        heard = []
        for index in range(count):
            number = stream.frames + index
            onset = _ONSET[number] if number < len(_ONSET) else 1.0
            from_end = count - index if last else len(_RELEASE) + 1
            release = _RELEASE[-from_end] if from_end <= len(_RELEASE) else 1.0
            heard.append(Heard(number, vectors[VECTORS * index :][:WINDOW], min(onset, release)))
        stream.vectors = vectors[VECTORS * count :]
        stream.frames += count
        return heard


def _loaded(part: T | None) -> T:
    if part is None:
        raise ModelError("the quicktalk model is not loaded: call load_model first")
    return part

"""The local wav2lip model: it hears 200 ms from each frame on, and repaints the lower half of the face.

    40 ms PCM ─ mel ─> window of 16 columns ─ one pass for all sessions ─> painted face ─ mouth ─> I420 in the slot

A still picture has one face, so its windows are painted as they come. A clip's face depends on the pose that the frame
is shown at. Within a turn poses follow each other, so after its first frame they are known ahead; that first one is
painted when it is drawn, as is any frame whose pose turns out another.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from opentalking.avatars import AvatarError, Bundle, read_bundle
from opentalking.avatars.landmarks import FaceFinder
from opentalking.config import Settings, env_name, settings
from opentalking.models.adapter import ModelError
from opentalking.models.planes import planes, to_i420
from opentalking.models.wav2lip.checkpoint import find_checkpoint, load_network
from opentalking.models.wav2lip.mel import LOOKAHEAD_MS, FrameWindows
from opentalking.models.wav2lip.paste import MODES, MaskStyle, MouthPaste
from opentalking.models.wav2lip.references import Pads, read_references
from opentalking.types import FPS, FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, Float32, UInt8, i420_shape

if TYPE_CHECKING:
    from torch import Tensor

    from opentalking.models.wav2lip.synthesis import Synthesis

log = logging.getLogger(__name__)

_LOOP_FRAMES = 2 * FPS  # a shorter idle loop would be keyframes for the most part
_JOIN = (0.35, 0.7)  # opacity of a turn's first frames, and of its last, backwards: the mouth comes and goes softly


class Wav2LipAvatar:
    """Reference pictures, their faces on the device and their masks; shared between sessions."""

    def __init__(self, width: int, height: int, pictures: list[UInt8], faces: Tensor, pastes: list[MouthPaste]) -> None:
        self.width, self.height = width, height
        self.fps = FPS
        self.faces = faces
        self.pastes = pastes
        there_and_back = [*range(len(pastes)), *range(len(pastes) - 2, 0, -1)]
        self._references: list[int] = there_and_back * -(-_LOOP_FRAMES // len(there_and_back))
        self.idle_frames = len(self._references)
        self.pictures: list[UInt8] | None = pictures  # I420; given up once the idle loop shows the same
        self.idle: UInt8 | None = None

    def reference(self, pose: int) -> int:
        """Which reference picture is shown at that position of the idle loop: there and back again."""
        return self._references[pose % self.idle_frames]

    def frame(self, pose: int) -> UInt8:
        """The silent frame of a pose, I420."""
        if self.idle is not None:
            silent: UInt8 = self.idle[pose % self.idle_frames]
            return silent
        assert self.pictures is not None
        return self.pictures[self.reference(pose)]


@dataclass(slots=True)
class _Turn:
    """One turn of a session."""

    windows: FrameWindows = field(default_factory=FrameWindows)
    planned: int = 0  # frames
    first_pose: int | None = None  # of frame 0, known once a frame was drawn


@dataclass(slots=True)
class Wav2LipStream:
    """What one session carries."""

    avatar: Wav2LipAvatar
    turn: _Turn = field(default_factory=_Turn)


@dataclass(frozen=True, slots=True)
class Heard:
    """Features: the windows, float32 (80, 16), of frames that became due, and whether the turn ends with them."""

    windows: tuple[Float32, ...]
    ends: bool


@dataclass(slots=True)
class Prediction:
    """One frame: what it hears, and once it was painted, on which reference, BGR uint8 (side, side, 3)."""

    turn: _Turn
    index: int  # of the frame in its turn
    window: Float32
    opacity: float = 1.0
    reference: int | None = None  # None: not painted yet
    painted: UInt8 | None = None


class Wav2LipAdapter:
    """The BatchingAdapter of model type "wav2lip"."""

    model_type = "wav2lip"
    chunk_ms = FRAME_MS
    lookahead_ms = LOOKAHEAD_MS

    def __init__(self, configured: Settings | None = None) -> None:
        self._settings = configured or settings()
        self.max_batch = self._settings.wav2lip_batch_size
        self._pads: Pads = (0, 0, 0, 0)
        self._synthesis: Synthesis | None = None

    def load_model(self, device: str) -> None:
        """Find and load the checkpoint. Raises ModelError: not_configured without one, and then imports no torch."""
        if self._settings.wav2lip_postprocess_mode == "easy_enhanced":
            raise ModelError(
                f"{env_name('wav2lip_postprocess_mode')}=easy_enhanced needs GFPGAN, which is not part of this server: "
                f"use {', '.join(MODES)}",
                "not_configured",
            )
        self._pads = _pads(self._settings.wav2lip_pads)
        checkpoint = find_checkpoint(self._settings)
        if importlib.util.find_spec("torch") is None:
            raise ModelError("wav2lip needs torch: pip install 'opentalking[torch]'", "local_adapter_missing")
        from opentalking.models.wav2lip.synthesis import Synthesis

        network, side = load_network(checkpoint)
        self._synthesis = Synthesis(network, side, device, self._settings)

    def load_avatar(self, path: Path) -> Wav2LipAvatar:
        """Read a bundle and prepare its faces and masks. Raises AvatarError if a picture shows no face."""
        bundle = read_bundle(path)
        synthesis = self._loaded()
        style = self._style(bundle)
        pictures, crops, pastes = [], [], []
        most = self._settings.wav2lip_max_reference_frames
        for reference in read_references(bundle, FaceFinder(), self._pads, most):
            pictures.append(to_i420(reference.picture))
            crops.append(network_crop(reference.picture, reference.box, synthesis.side))
            pastes.append(MouthPaste(reference, style))
        return Wav2LipAvatar(bundle.manifest.width, bundle.manifest.height, pictures, synthesis.faces(crops), pastes)

    def open_stream(self, avatar: Wav2LipAvatar) -> Wav2LipStream:
        return Wav2LipStream(avatar)

    def warmup(self, avatar: Wav2LipAvatar) -> None:
        """One frame alone, and on CUDA passes of other sizes too, for which kernels are chosen or compiled."""
        stream = self.open_stream(avatar)
        silence = AudioChunk(np.zeros(MODEL_SAMPLES, np.int16), MODEL_RATE)
        self.infer(self.extract_features(silence, stream), stream)
        (prediction,) = self.infer(self.extract_features(None, stream), stream)
        out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
        self.compose_frame(stream, 0, prediction, out)
        synthesis = self._loaded()
        for size in synthesis.sizes_to_warm(self.max_batch):
            synthesis.paint([prediction.window] * size, [avatar.faces[0]] * size)

    def extract_features(self, chunk: AudioChunk | None, stream: Wav2LipStream) -> Heard:
        """What frames that became due hear; the stream keeps the context. None ends the turn."""
        if chunk is None:
            return Heard(tuple(stream.turn.windows.finish()), ends=True)
        if chunk.sample_rate != MODEL_RATE:
            raise ValueError(f"wav2lip hears {MODEL_RATE} Hz, not {chunk.sample_rate}")
        return Heard(tuple(stream.turn.windows.push(chunk.data.astype(np.float32) / np.float32(32768))), ends=False)

    def infer(self, features: Heard, stream: Wav2LipStream) -> list[Prediction]:
        """The frames that became due; at the end of the turn all that are owed, after which the next may begin."""
        return self.infer_batch([(features, stream)])[0]

    def infer_batch(self, work: Sequence[tuple[Heard, Wav2LipStream]]) -> list[list[Prediction]]:
        """`infer` for several streams, `max_batch` frames a pass.

        A frame differs by at most one level of 255 from what it is alone: sums are made in another order."""
        planned = [_plan(features, stream) for features, stream in work]
        known = [
            (prediction, stream.avatar, reference)
            for predictions, (_, stream) in zip(planned, work, strict=True)
            for prediction in predictions
            if (reference := _reference(prediction, stream.avatar)) is not None
        ]
        for begin in range(0, len(known), self.max_batch):
            self._paint(known[begin : begin + self.max_batch])
        for features, stream in work:
            if features.ends:
                self.reset(stream)
        return planned

    def compose_frame(self, stream: Wav2LipStream, pose: int, prediction: Prediction, out: UInt8) -> None:
        """Draw the idle frame of that pose and the painted mouth over it."""
        avatar, turn = stream.avatar, prediction.turn
        turn.first_pose = pose - prediction.index
        reference = avatar.reference(pose)
        if prediction.reference != reference:
            self._paint([(prediction, avatar, reference)])
        assert prediction.painted is not None
        np.copyto(out, avatar.frame(pose))
        avatar.pastes[reference].draw(prediction.painted, prediction.opacity, planes(out))

    def use_idle_clip(self, avatar: Wav2LipAvatar, clip: UInt8) -> None:
        """Frames are from now on taken from the clip, which is mapped from a file; the avatar's own are let go."""
        if clip.shape != (avatar.idle_frames, *i420_shape(avatar.width, avatar.height)):
            raise ValueError(f"an idle clip of {clip.shape} is not {avatar.idle_frames} frames of this avatar")
        avatar.idle, avatar.pictures = clip, None

    def idle_frame(self, avatar: Wav2LipAvatar, pose: int, out: UInt8) -> None:
        np.copyto(out, avatar.frame(pose))

    def reset(self, stream: Wav2LipStream) -> None:
        stream.turn = _Turn()

    def _paint(self, wanted: Sequence[tuple[Prediction, Wav2LipAvatar, int]]) -> None:
        """One pass of the network: these frames, each on a reference of its avatar."""
        painted = self._loaded().paint(
            [prediction.window for prediction, _, _ in wanted],
            [avatar.faces[reference] for _, avatar, reference in wanted],
        )
        for (prediction, _, reference), picture in zip(wanted, painted, strict=True):
            prediction.painted, prediction.reference = picture, reference

    def _style(self, bundle: Bundle) -> MaskStyle:
        """The mask that the bundle prefers, else the setting's."""
        configured = self._settings
        mode = bundle.manifest.metadata.get("preferred_wav2lip_postprocess_mode", configured.wav2lip_postprocess_mode)
        if mode == "easy_enhanced":
            log.warning("%s prefers easy_enhanced, which needs GFPGAN; it gets %s", bundle.id, MODES[0])
            mode = MODES[0]
        if mode not in MODES:
            raise AvatarError(
                f"{bundle.id}/manifest.json: metadata.preferred_wav2lip_postprocess_mode: "
                f"{mode!r} is not one of {', '.join(MODES)}"
            )
        return MaskStyle(mode, configured.wav2lip_easy_mask_dilation, configured.wav2lip_easy_mask_feathering)

    def _loaded(self) -> Synthesis:
        if self._synthesis is None:
            raise ModelError("the wav2lip model is not loaded: call load_model first")
        return self._synthesis


def _plan(features: Heard, stream: Wav2LipStream) -> list[Prediction]:
    """The frames of these windows, nothing painted yet."""
    turn, predictions = stream.turn, []
    for window in features.windows:
        index = turn.planned
        opacity = _JOIN[index] if index < len(_JOIN) else 1.0
        predictions.append(Prediction(turn, index, window, opacity))
        turn.planned += 1
    if features.ends:  # the look-ahead is longer than the fade, so a turn's last frames all come with its end
        for prediction, opacity in zip(reversed(predictions), _JOIN, strict=False):
            prediction.opacity = min(prediction.opacity, opacity)
    return predictions


def _reference(prediction: Prediction, avatar: Wav2LipAvatar) -> int | None:
    """On which reference a frame will be shown, if that is known yet."""
    if len(avatar.pastes) == 1:
        return 0
    first = prediction.turn.first_pose
    return None if first is None else avatar.reference(first + prediction.index)


def network_crop(picture: UInt8, box: tuple[int, int, int, int], side: int) -> UInt8:
    """The face in a picture as the network takes it, BGR (side, side, 3)."""
    left, top, right, bottom = box
    how = cv2.INTER_AREA if (right - left) * (bottom - top) > side * side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture[top:bottom, left:right], (side, side), interpolation=how), np.uint8)


def _pads(setting: str) -> Pads:
    """`top,bottom,left,right` in pixels. Raises ModelError if it is something else."""
    parts = [part.strip().removeprefix("-") for part in setting.split(",")]
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        raise ModelError(
            f"{env_name('wav2lip_pads')}={setting}: not four whole numbers of pixels: top,bottom,left,right",
            "not_configured",
        )
    top, bottom, left, right = (int(part) for part in setting.split(","))
    return top, bottom, left, right

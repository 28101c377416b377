"""The portrait model: one picture, warped to speak. Runs on one CPU core, a few milliseconds a frame.

compose_frame:  still face ─ mouth warped in ─ teeth, tongue ─ eyes ─ head moved ─> I420 in the slot
idle_frame:     the same with the mouth of the picture; both give the same bytes for a mouth at rest
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np

from opentalking.avatars import AvatarError, Bundle, read_bundle
from opentalking.avatars.landmarks import FaceFinder
from opentalking.config import settings
from opentalking.models.adapter import ModelError
from opentalking.models.planes import covering, planes
from opentalking.models.portrait.cache import cached_rig, rig_key
from opentalking.models.portrait.clip import ClipAvatar
from opentalking.models.portrait.interior import draw_interior
from opentalking.models.portrait.lips import LipWarp
from opentalking.models.portrait.motion import IDLE_FRAMES, HeadMotion
from opentalking.models.portrait.net import WEIGHTS, VisemeNet
from opentalking.models.portrait.rig import Rig, build_rig
from opentalking.models.portrait.track import LOOKAHEAD_MS, MouthTrack
from opentalking.models.portrait.visemes import PARAMETERS, mouth_of
from opentalking.types import FPS, FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, Float32, UInt8, i420_shape


class PortraitAvatar:
    """A picture ready to speak; shared between sessions, written only to give it its idle loop. One thread draws it."""

    def __init__(self, width: int, height: int, rig: Rig) -> None:
        self.width, self.height = width, height
        self.fps = FPS
        self.idle_frames = IDLE_FRAMES
        self.rig = rig
        self.lips = LipWarp(rig)
        self.head = HeadMotion(rig)
        self.idle: UInt8 | None = None  # the idle loop once it is rendered, uint8 (IDLE_FRAMES, height*3//2, width)
        self.rest = rig.source.copy()  # the still face: the picture, its mouth closed if it was open
        self.lips.draw(np.zeros(len(PARAMETERS), np.float32), planes(self.rest))
        self._canvas = np.empty_like(self.rest)

    def draw(self, pose: int, mouth: Float32 | None, out: UInt8) -> None:
        """The face at that pose with the mouth `mouth`, (12,), or that of the picture."""
        pose %= IDLE_FRAMES
        idle = self.idle if mouth is not None else None  # the idle loop is not drawn upon itself
        np.copyto(out, self.rest if idle is None else idle[pose])
        moving = mouth is not None and mouth.any()
        if idle is not None and not moving:
            return
        np.copyto(self._canvas, self.rest)
        face = planes(self._canvas)
        if mouth is not None and moving:
            lines = self.lips.draw(mouth, face)
            draw_interior(self.rig, mouth, lines, face)
        self.head.eyes(pose, face)
        self.head.draw(pose, face, planes(out), mouth_alone=idle is not None)


Avatar = PortraitAvatar | ClipAvatar


@dataclass(slots=True)
class PortraitStream:
    """What one session carries: its avatar and the turn being spoken."""

    avatar: Avatar
    track: MouthTrack


@dataclass(frozen=True, slots=True)
class Speech:
    """The features of one chunk: float32 (640,) in -1..1, or None at the end of the turn."""

    samples: Float32 | None


class PortraitAdapter:
    """The ModelAdapter of model type "portrait"; predictions are mouths, float32 (12,) of visemes.PARAMETERS."""

    model_type = "portrait"
    chunk_ms = FRAME_MS
    lookahead_ms = LOOKAHEAD_MS

    def __init__(self, cache_dir: Path | None = None, weights: Path = WEIGHTS) -> None:
        self._cache_dir = cache_dir
        self._weights = weights
        self._net: VisemeNet | None = None

    def load_model(self, device: str) -> None:
        """Load the viseme net; `device` is of no account, everything is done on the CPU by one thread."""
        cv2.setNumThreads(1)  # the pictures are small: more threads cost other processes more than they save here
        try:
            self._net = VisemeNet.load(self._weights)
        except (OSError, EOFError, KeyError, ValueError, TypeError, BadZipFile) as error:
            raise ModelError(f"{self._weights.name}: {error}; reinstall the package") from error

    def load_avatar(self, path: Path) -> Avatar:
        """Read a bundle and make or fetch its rig. Raises AvatarError if there is no face in the picture."""
        bundle = read_bundle(path)
        manifest = bundle.manifest
        if manifest.fps != FPS:
            raise AvatarError(
                f"{bundle.id}/manifest.json: fps: this model draws {FPS} frames a second, not {manifest.fps}"
            )
        teeth = manifest.metadata.get("portrait", {}).get("teeth", "rendered")
        if teeth not in ("rendered", "flat"):
            raise AvatarError(f"{bundle.id}/manifest.json: metadata.portrait.teeth: {teeth!r} is not rendered or flat")
        filmed = manifest.metadata.get("reference_mode") == "frames"
        made_from = bundle.reference.read_bytes(), manifest.width, manifest.height, teeth == "flat", filmed
        key = bundle.id + "-" + rig_key(*made_from)  # by name, so that an avatar's rigs can be found and deleted
        folder = (self._cache_dir or settings().cache_dir) / "portrait"
        rig = cached_rig(folder, key, lambda: _make_rig(bundle, teeth == "flat", filmed))
        return ClipAvatar(bundle, rig) if filmed else PortraitAvatar(manifest.width, manifest.height, rig)

    def open_stream(self, avatar: Avatar) -> PortraitStream:
        return PortraitStream(avatar, MouthTrack(self._loaded_net()))

    def warmup(self, avatar: Avatar) -> None:
        stream = self.open_stream(avatar)
        out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
        chunk = AudioChunk(np.zeros(MODEL_SAMPLES, np.int16), MODEL_RATE)
        for features in (self.extract_features(chunk, stream), self.extract_features(None, stream)):
            self.infer(features, stream)
        self.compose_frame(stream, 0, mouth_of("aa"), out)
        self.idle_frame(avatar, 0, out)

    def extract_features(self, chunk: AudioChunk | None, stream: PortraitStream) -> Speech:
        """The chunk as the net takes it; the net itself keeps the context. None ends the turn."""
        if chunk is None:
            return Speech(None)
        if chunk.sample_rate != MODEL_RATE:
            raise ValueError(f"the portrait model hears {MODEL_RATE} Hz, not {chunk.sample_rate}")
        return Speech(chunk.data.astype(np.float32) / np.float32(32768))

    def infer(self, features: Speech, stream: PortraitStream) -> list[Float32]:
        """The mouths that became due; at the end of the turn all that are owed, after which the next may begin."""
        if features.samples is not None:
            return stream.track.push(features.samples)
        mouths = stream.track.finish()
        self.reset(stream)
        return mouths

    def compose_frame(self, stream: PortraitStream, pose: int, prediction: Float32, out: UInt8) -> None:
        """Draw the mouth `prediction`, (12,), on the head of that pose."""
        stream.avatar.draw(pose, prediction, out)

    def use_idle_clip(self, avatar: Avatar, clip: UInt8) -> None:
        """Talking frames are from now on the clip's, with the mouth drawn over: less than half the pixels."""
        if clip.shape != (avatar.idle_frames, *avatar.rest.shape):
            raise ValueError(f"an idle clip of {clip.shape} is not {avatar.idle_frames} frames of {avatar.rest.shape}")
        avatar.idle = clip

    def idle_frame(self, avatar: Avatar, pose: int, out: UInt8) -> None:
        avatar.draw(pose, None, out)

    def reset(self, stream: PortraitStream) -> None:
        stream.track = MouthTrack(self._loaded_net())

    def _loaded_net(self) -> VisemeNet:
        if self._net is None:
            raise ModelError("the portrait model is not loaded: call load_model first")
        return self._net


def _make_rig(bundle: Bundle, flat_teeth: bool, filmed: bool) -> Rig:
    picture = cv2.imread(str(bundle.reference), cv2.IMREAD_COLOR)
    if picture is None:
        raise AvatarError(f"{bundle.id}/{bundle.reference.name}: not a picture that can be read")
    picture = covering(np.asarray(picture, np.uint8), bundle.manifest.width, bundle.manifest.height)
    finder = FaceFinder()
    box = finder.detect(picture)
    if box is None:
        raise AvatarError(
            f"{bundle.id}/{bundle.reference.name}: no face found; use a frontal portrait, face well visible"
        )
    return build_rig(picture, finder.landmarks(picture, box), flat_teeth, filmed)

"""A face that another machine draws: the LateAdapter over the audio2video WebSocket.

    hear ──> 40 ms of sound go to the stream's connection (stream.py, connection.py)
    collect <── pictures, decoded to I420 of the avatar's size, one a slot
    compose_frame: a copy; at a turn's beginning and end a short cross-fade with the idle picture. Of a filmed person
        the mouth alone, on the frame that is due (filmed.py), if the server draws no more than that

The server is asked for pictures of the bundle's size; if it draws others they are scaled to cover it and cut. Between
turns the bundle's own `idle.mp4` or `frames/` are shown there and back, or its still picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from opentalking.avatars import AvatarError, read_bundle
from opentalking.config import Settings, settings
from opentalking.models.remote.background import Background
from opentalking.models.remote.connection import Connection, Deadlines
from opentalking.models.remote.endpoint import Endpoint, find_endpoint, probe
from opentalking.models.remote.filmed import FilmedMouth, read_filmed
from opentalking.models.remote.pictures import IDLE_FRAMES, blended, idle_pictures
from opentalking.models.remote.stream import Prediction, RemoteStream, capacity_of, declared_ms
from opentalking.models.remote.wire import MAX_PICTURE_BYTES, PROMPT, Geometry, Opening
from opentalking.types import FPS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, UInt8, i420_shape

TOLD_METADATA = ("portrait", "face_box", "animation", "person_mode")  # nothing that names a file
KNOWN_GEOMETRIES = {  # until a server has told its own
    "flashtalk": Geometry(slice_len=28, fps=25, width=416, height=704, chunk_samples=17_920),
    "flashhead": Geometry(slice_len=28, fps=25, width=512, height=512, chunk_samples=17_920),
    "musetalk": Geometry(slice_len=25, fps=25, width=512, height=512, chunk_samples=16_000),
    "wav2lip": Geometry(slice_len=28, fps=30, width=512, height=512, chunk_samples=14_933),
}
MOUTH_ALONE = ("wav2lip", "musetalk", "quicktalk")  # models that leave the rest of the picture as it was sent

_log = logging.getLogger(__name__)


class RemoteAvatar:
    """A bundle as its server needs it, and its idle loop; shared between sessions."""

    def __init__(self, opening: Opening, idle: list[UInt8], mouth: FilmedMouth | None) -> None:
        self.width, self.height = opening.width, opening.height
        self.fps = FPS
        self.opening = opening
        self.idle_frames = len(idle) if len(idle) > 1 else IDLE_FRAMES
        self.mouth = mouth  # of a filmed person
        self._idle: list[UInt8] | UInt8 = idle

    def idle(self, pose: int) -> UInt8:
        return self._idle[pose % len(self._idle)]

    def keep_idle(self, clip: UInt8) -> None:
        self._idle = clip


@dataclass(frozen=True, slots=True)
class RemoteSession:
    """A stream: an avatar and its turns."""

    avatar: RemoteAvatar
    turns: RemoteStream


class RemoteAdapter:
    """The LateAdapter of `model_type` on `backend`. Made without waiting for anything."""

    def __init__(self, model_type: str, backend: str, config: Settings | None = None) -> None:
        self.model_type = model_type
        self._backend = backend
        self._config = config
        self._background: Background | None = None
        self._geometry = KNOWN_GEOMETRIES[model_type]
        self.chunk_ms, self.lookahead_ms = declared_ms(self._geometry)

    def load_model(self, device: str) -> None:
        """See whether the server is there, which takes a second at most; may be called again when it was not.

        Raises ModelError: not_configured, omnirt_unavailable, direct_ws_unavailable. `device` is of no account."""
        endpoint = self._endpoint()  # first: what is not configured needs no thread
        self._loop.wait_for(probe(endpoint))

    def load_avatar(self, path: Path) -> RemoteAvatar:
        """Read the bundle. Raises AvatarError if its picture cannot be read or is too large to be sent."""
        bundle = read_bundle(path)
        image = bundle.reference.read_bytes()
        if len(image) > MAX_PICTURE_BYTES:
            raise AvatarError(f"{bundle.id}/{bundle.reference.name}: larger than {MAX_PICTURE_BYTES // 1_000_000} MB")
        manifest = bundle.manifest
        told = {key: manifest.metadata[key] for key in TOLD_METADATA if key in manifest.metadata}
        opening = Opening(
            ref_image=image,
            width=manifest.width,
            height=manifest.height,
            fps=FPS,
            model=self._endpoint().model,
            metadata=told,
            prompt=str(manifest.metadata.get("prompt", PROMPT)),
        )
        idle = idle_pictures(bundle)
        return RemoteAvatar(opening, idle, read_filmed(bundle, idle) if self.model_type in MOUTH_ALONE else None)

    def open_stream(self, avatar: RemoteAvatar) -> RemoteSession:
        """Begin to connect; sound may be handed over at once."""
        config = self._settings()
        stream = RemoteStream((avatar.width, avatar.height), capacity_of(self._geometry), self._note)
        deadlines = Deadlines(config.remote_open_timeout_s, config.remote_reply_timeout_s)
        stream.connect(Connection(self._loop.loop, self._endpoint(), avatar.opening, deadlines, stream))
        return RemoteSession(avatar, stream)

    def warmup(self, avatar: RemoteAvatar) -> None:
        """Nothing here is slow the first time, and the server warms itself."""
        out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
        self.idle_frame(avatar, 0, out)

    def extract_features(self, chunk: AudioChunk | None, stream: RemoteSession) -> AudioChunk | None:
        """The chunk itself; the server hears it."""
        if chunk is not None and chunk.sample_rate != MODEL_RATE:
            raise ValueError(f"a model elsewhere hears {MODEL_RATE} Hz, not {chunk.sample_rate}")
        if chunk is not None and len(chunk.data) != MODEL_SAMPLES:
            raise ValueError(f"a chunk has {MODEL_SAMPLES} samples, not {len(chunk.data)}")
        return chunk

    def infer(self, features: AudioChunk | None, stream: RemoteSession) -> list[Prediction]:
        """Hand the sound over, or the news that the turn is complete. Pictures are collected."""
        if features is None:
            stream.turns.end()
        else:
            stream.turns.hear(features.data.copy())
        return []

    def compose_frame(self, stream: RemoteSession, pose: int, prediction: Prediction, out: UInt8) -> None:
        share, avatar = prediction.share, stream.avatar
        if avatar.mouth is not None and self._keeps_still:
            np.copyto(out, avatar.idle(pose))
            avatar.mouth.draw(pose, prediction.picture, share, out)
        elif share < 1:
            blended(prediction.picture, share, avatar.idle(pose), out)
        else:
            np.copyto(out, prediction.picture)

    def use_idle_clip(self, avatar: RemoteAvatar, clip: UInt8) -> None:
        avatar.keep_idle(clip)

    def idle_frame(self, avatar: RemoteAvatar, pose: int, out: UInt8) -> None:
        np.copyto(out, avatar.idle(pose))

    def reset(self, stream: RemoteSession) -> None:
        stream.turns.reset()

    def listen(self, stream: RemoteSession, wake: Callable[[], None]) -> None:
        stream.turns.listen(wake)

    def can_take(self, stream: RemoteSession) -> bool:
        return stream.turns.can_take()

    def arrived(self, stream: RemoteSession) -> bool:
        return stream.turns.arrived()

    def collect(self, stream: RemoteSession) -> list[Any]:
        return stream.turns.collect()

    def close_stream(self, stream: RemoteSession) -> None:
        stream.turns.close()

    @property
    def _keeps_still(self) -> bool:
        """Whether the server draws nothing but the mouth. One that knows our extensions says so of what it serves,
        whatever the name; of the others the model is known."""
        extensions = self._geometry.extensions
        return "still" in extensions if extensions else self.model_type in MOUTH_ALONE

    @property
    def _loop(self) -> Background:
        if self._background is None:
            self._background = Background(f"remote-{self.model_type}")
        return self._background

    def _settings(self) -> Settings:
        return self._config or settings()

    def _endpoint(self) -> Endpoint:
        return find_endpoint(self.model_type, self._backend, self._settings())

    def _note(self, geometry: Geometry) -> None:
        """A server told how it works: what we declare is true from now on."""
        if geometry != self._geometry:
            self._geometry = geometry
            self.chunk_ms, self.lookahead_ms = declared_ms(geometry)
            size = f"{geometry.width}x{geometry.height} at {geometry.fps}"
            message_ms = geometry.chunk_samples * 1000 // MODEL_RATE
            _log.info("%s: %d ms a message, %s, %d at once", self.model_type, message_ms, size, geometry.pipeline)


flashtalk_omnirt = partial(RemoteAdapter, "flashtalk", "omnirt")
flashtalk_direct = partial(RemoteAdapter, "flashtalk", "direct_ws")
flashhead_omnirt = partial(RemoteAdapter, "flashhead", "omnirt")
flashhead_direct = partial(RemoteAdapter, "flashhead", "direct_ws")
musetalk_omnirt = partial(RemoteAdapter, "musetalk", "omnirt")
wav2lip_omnirt = partial(RemoteAdapter, "wav2lip", "omnirt")

"""The idle face: a raw clip that an avatar's sessions share, and its encoding, made once and sent to all.

The clip is a file of I420 frames that forms a seamless loop; the inference worker renders it, this room only maps it.
`EncodedLoop` holds the same loop as access units, with a keyframe every ENTRY_FRAMES: a decoder can join there, so a
session that only idles costs no encoding at all. A `Face` is both, and all that this room knows of an avatar.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opentalking.rtc.video import Codec, VideoEncoder
from opentalking.types import FPS, UInt8, i420_shape

ENTRY_FRAMES = 2 * FPS


def write_clip(path: Path, frames: Iterable[UInt8]) -> None:
    """Write I420 frames to `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".clip-", delete=False) as draft:
        try:
            for frame in frames:
                draft.write(np.ascontiguousarray(frame).data)
            draft.flush()
            os.replace(draft.name, path)
        except BaseException:
            os.unlink(draft.name)
            raise


def map_clip(path: Path, width: int, height: int) -> UInt8:
    """The clip as a read-only uint8 array (frames, height*3//2, width). Raises ValueError if it is not whole frames."""
    rows, columns = i420_shape(width, height)
    size = path.stat().st_size
    if size == 0 or size % (rows * columns):
        raise ValueError(f"{path}: {size} bytes are not whole frames of {width}x{height}")
    return np.memmap(path, np.uint8, "r").reshape(-1, rows, columns)


@dataclass(frozen=True, slots=True)
class EncodedLoop:
    """The access unit of every pose of the loop; `is_entry` tells where a decoder may join."""

    units: tuple[bytes, ...]

    def is_entry(self, pose: int) -> bool:
        return pose % ENTRY_FRAMES == 0


def encode_loop(clip: UInt8, codec: Codec, bitrate: int) -> EncodedLoop:
    """Encode a clip once through; it may take its time (about 5 ms a frame)."""
    encoder = VideoEncoder(codec, bitrate, effort="once")
    return EncodedLoop(tuple(encoder.encode(frame, pose % ENTRY_FRAMES == 0)[0] for pose, frame in enumerate(clip)))


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """An avatar as it is shown: `clip` is its idle loop, uint8 (frames, height*3//2, width); `loop_of` gives the loop's
    encoding, or None while there is none. Two faces are the same only if they are one object."""

    clip: UInt8
    loop_of: Callable[[Codec], EncodedLoop | None] = lambda codec: None


class LoopLibrary:
    """Clips and encoded loops; each is made once a process, the loops in a thread, while sessions encode live."""

    def __init__(self, bitrate: int) -> None:
        self._bitrate = bitrate
        self._loops: dict[tuple[Path, Codec], EncodedLoop] = {}
        self._tasks: dict[tuple[Path, Codec], asyncio.Task[None]] = {}
        self._clips: dict[Path, UInt8] = {}

    def clip(self, path: Path, width: int, height: int) -> UInt8:
        """The clip, mapped once a process: a map of its own for each session holds a descriptor until it is collected.

        Raises OSError, or ValueError if it is not whole frames."""
        if path not in self._clips:
            self._clips[path] = map_clip(path, width, height)
        return self._clips[path]

    def face(self, path: Path, width: int, height: int) -> Face:
        """The avatar whose clip this is. Raises OSError, or ValueError if it is not whole frames."""
        clip = self.clip(path, width, height)
        return Face(clip, lambda codec: self.get(path, clip, codec))

    def get(self, path: Path, clip: UInt8, codec: Codec) -> EncodedLoop | None:
        """The loop, or None while it is being encoded (which the first call starts)."""
        key = (path, codec)
        if key not in self._loops and key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._encode(key, clip))
        return self._loops.get(key)

    async def _encode(self, key: tuple[Path, Codec], clip: UInt8) -> None:
        self._loops[key] = await asyncio.to_thread(encode_loop, clip, key[1], self._bitrate)
        del self._tasks[key]

"""The idle face: a raw clip that an avatar's sessions share, and its encoding, made once and sent to all.

The clip is a file of I420 frames that forms a seamless loop; the inference worker renders it, this room only maps it.
`EncodedLoop` holds the same loop as access units, with a keyframe every ENTRY_FRAMES: a decoder can join there, so a
session that only idles costs no encoding at all. A `Face` is both, and all that this room knows of an avatar.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from opentalking.rtc.video import Codec, VideoEncoder
from opentalking.types import FPS, UInt8, i420_shape

ENTRY_FRAMES = 2 * FPS
KEPT = 4  # clips that no session shows


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


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Face:
    """An avatar as it is shown: `clip` is its idle loop, uint8 (frames, height*3//2, width); `loop_of` gives the loop's
    encoding, or None while there is none. Two faces are the same only if they are one object."""

    clip: UInt8
    loop_of: Callable[[Codec], EncodedLoop | None] = lambda codec: None


class _Idle:
    """A clip and its encoded loops, each made in a thread when it is first asked for, while sessions encode live."""

    def __init__(self, clip: UInt8, bitrate: int) -> None:
        self.clip = clip
        self._bitrate = bitrate
        self._loops: dict[Codec, EncodedLoop] = {}
        self._tasks: dict[Codec, asyncio.Task[None]] = {}

    def loop(self, codec: Codec) -> EncodedLoop | None:
        """The loop, or None while it is being encoded (which the first call starts)."""
        if codec not in self._loops and codec not in self._tasks:
            self._tasks[codec] = asyncio.create_task(self._encode(codec))
        return self._loops.get(codec)

    async def _encode(self, codec: Codec) -> None:
        self._loops[codec] = await asyncio.to_thread(encode_loop, self.clip, codec, self._bitrate)
        del self._tasks[codec]


class LoopLibrary:
    """Clips and encoded loops by file: sessions of an avatar share them.

    They live as long as a face that was given out does; of those that nobody shows, the last KEPT stay, while their
    file is there: what was deleted frees the disk only when nobody maps it."""

    def __init__(self, bitrate: int) -> None:
        self._bitrate = bitrate
        self._shown: WeakValueDictionary[Path, _Idle] = WeakValueDictionary()
        self._kept: OrderedDict[Path, _Idle] = OrderedDict()  # the one that was asked for last at the end

    def face(self, path: Path, width: int, height: int) -> Face:
        """The avatar whose clip this is. Raises OSError, or ValueError if it is not whole frames."""
        idle = self._shown.get(path)
        if idle is None:  # once a process: a map of its own for each session holds a descriptor until it is collected
            idle = self._shown[path] = _Idle(map_clip(path, width, height), self._bitrate)
        self._kept[path] = idle
        self._kept.move_to_end(path)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return Face(idle.clip, idle.loop)

    def sweep(self) -> None:
        """Let go of clips whose file is gone; who shows one keeps it. Looks at KEPT files."""
        for path in [path for path in self._kept if not path.is_file()]:
            del self._kept[path]

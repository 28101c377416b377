"""Avatars of the pictures that clients send: checked, written as a bundle, prepared once, and kept for a while.

A client of the original protocol connects anew after every interruption, so the last few faces stay prepared. Nothing
is read from a path that a client names, and the folder goes with the process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opentalking.avatars import AvatarError
from opentalking.avatars.picture import decode_picture, write_png
from opentalking.avatars.quality import PictureRefused
from opentalking.avatars.storage import drop_caches
from opentalking.config import Settings
from opentalking.models.adapter import AvatarState, ModelAdapter
from opentalking.models.pace import Pace
from opentalking.models.planes import covering
from opentalking.models.remote.adapter import TOLD_METADATA
from opentalking.models.remote.pictures import to_i420
from opentalking.models.remote.wire import Opening
from opentalking.types import FPS, FRAME_MS, MODEL_RATE, UInt8, i420_shape

KEPT = 4  # faces that nobody uses at the moment
MOST_PIXELS = 16_000_000  # of a picture that is sent; decoded it takes 48 MB
MOST_DRAWN_PIXELS = 2048 * 2048
SMALLEST_SIDE = 64
_POSE_STEP = 4  # of the idle poses, every so many is compared
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"


@dataclass(frozen=True, slots=True)
class Face:
    """An avatar, and the pose at which a turn begins: the client shows the still picture until then."""

    avatar: AvatarState
    start: int


class Faces:
    """`take` and `leave` a face; `folder` is ours alone; what the adapter keeps of faces is in the settings' cache.

    `pace` is what a frame takes here; None if that is not known, and then every size is drawn."""

    def __init__(self, adapter: ModelAdapter, folder: Path, config: Settings, pace: Pace | None = None) -> None:
        self._adapter = adapter
        self._folder = folder
        self._config = config
        self._pace = pace
        self._prepared: OrderedDict[str, Face] = OrderedDict()  # the one that was used last at the end
        self._users: dict[str, int] = {}
        self._preparing = asyncio.Lock()

    async def take(self, opening: Opening) -> tuple[str, Face]:
        """The face of this opening, and the key to leave it by. Raises AvatarError: no picture, no face, too large."""
        key = _key(opening)
        async with self._preparing:
            if key not in self._prepared:
                self._prepared[key] = await asyncio.to_thread(self._prepare, key, opening)
            self._prepared.move_to_end(key)
            self._users[key] = self._users.get(key, 0) + 1
            return key, self._prepared[key]

    def leave(self, key: str) -> None:
        """A session does not use it any more."""
        self._users[key] -= 1
        unused = [key for key in self._prepared if not self._users.get(key)]
        for old in unused[: max(0, len(unused) - KEPT)]:
            del self._prepared[old]
            self._users.pop(old, None)
            self._remove(old)

    def _remove(self, key: str) -> None:
        """Nothing of the picture stays, nor of what the model made of it."""
        shutil.rmtree(self._folder / key, ignore_errors=True)
        drop_caches(self._config, key)

    def _prepare(self, key: str, opening: Opening) -> Face:
        picture = decoded(opening.ref_image)
        height, width = picture.shape[:2]
        drawn = ((opening.width or width) & ~1, (opening.height or height) & ~1)
        if min(*drawn) < SMALLEST_SIDE or drawn[0] * drawn[1] > MOST_DRAWN_PIXELS:
            raise AvatarError(f"pictures of {drawn[0]}x{drawn[1]} are not drawn: 64 a side to 2048x2048 are")
        if self._pace is not None and not self._pace.holds_at(*drawn):  # nor could others speak meanwhile
            took = f"{self._pace.frame_ms_at(*drawn):.0f} ms"
            raise AvatarError(
                f"pictures of {drawn[0]}x{drawn[1]} take {took} each here, and a frame lasts {FRAME_MS}: ask for less"
            )
        bundle = self._folder / key
        bundle.mkdir(parents=True, exist_ok=True)
        manifest = {
            "id": key,
            "model_type": self._adapter.model_type,
            "fps": FPS,
            "sample_rate": MODEL_RATE,
            "width": drawn[0],
            "height": drawn[1],
            "version": "1.0",
            "metadata": {name: value for name, value in opening.metadata.items() if name in TOLD_METADATA},
        }
        write_png(bundle / "reference.png", picture)
        (bundle / "manifest.json").write_text(json.dumps(manifest))
        try:
            avatar = self._adapter.load_avatar(bundle)
            return Face(avatar, nearest_pose(self._adapter, avatar, picture))
        except BaseException as error:
            self._remove(key)
            if isinstance(error, AvatarError):  # it speaks of a folder that the client knows nothing of
                raise AvatarError(str(error).replace(f"{key}/", "")) from None
            raise


def nearest_pose(adapter: ModelAdapter, avatar: AvatarState, picture: UInt8) -> int:
    """The idle pose that looks most like the picture that was sent, uint8 BGR (rows, columns, 3)."""
    still = to_i420(covering(picture, avatar.width, avatar.height))[: avatar.height].astype(np.int16)
    out, apart = np.empty(i420_shape(avatar.width, avatar.height), np.uint8), {}
    for pose in range(0, avatar.idle_frames, _POSE_STEP):
        adapter.idle_frame(avatar, pose, out)
        apart[pose] = float(np.abs(out[: avatar.height] - still).mean())
    return min(apart, key=apart.__getitem__)


def _key(opening: Opening) -> str:
    digest = hashlib.sha256(opening.ref_image)
    digest.update(json.dumps([opening.width, opening.height, opening.metadata], sort_keys=True).encode())
    return digest.hexdigest()[:32]


def decoded(raw: bytes) -> UInt8:
    """The reference picture, uint8 BGR (height, width, 3); its size is checked by what decodes it, before it does.

    Raises AvatarError."""
    if not raw.startswith((_PNG, _JPEG)):
        raise AvatarError("the reference picture is neither PNG nor JPEG")
    try:
        return decode_picture(raw, MOST_PIXELS)
    except PictureRefused as error:
        raise AvatarError(f"the reference picture: {error}") from None

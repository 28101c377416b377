"""Where the idle loop of an avatar is kept, and whether it is there: rendered once, mapped by all.

Its name is <model>-<avatar>-<digest>.i420; the digest changes with the bundle's files and with the code that draws
them.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from opentalking.models import following, planes
from opentalking.models.adapter import AvatarState, ModelAdapter
from opentalking.rtc.idle import write_clip
from opentalking.types import UInt8, i420_shape

_DIGITS = 12  # of the digest
_SHARED = [Path(shared.__file__ or "") for shared in (following, planes)]  # what several models draw with


def clip_path(cache_dir: Path, adapter: ModelAdapter, bundle: Path) -> Path:
    """The file of a bundle's idle loop as that adapter draws it. Reads the bundle's files."""
    return cache_dir / "idle" / f"{adapter.model_type}-{bundle.name}-{_digest(bundle, adapter)}.i420"


def is_rendered(clip: Path, avatar: AvatarState) -> bool:
    """Is the whole loop there?"""
    size = int(np.prod(i420_shape(avatar.width, avatar.height))) * avatar.idle_frames
    return clip.is_file() and clip.stat().st_size == size


def prepare_avatar(cache_dir: Path, adapter: ModelAdapter, bundle: Path) -> None:
    """Make what a model keeps of a bundle, so that its first session does not wait. Raises AvatarError, ModelError."""
    avatar = adapter.load_avatar(bundle)
    clip = clip_path(cache_dir, adapter, bundle)
    if not is_rendered(clip, avatar):
        write_clip(clip, _frames(adapter, avatar))
        drop_older(clip)


def drop_older(clip: Path) -> None:
    """Remove the clips that this one takes the place of: of the same model and avatar, drawn otherwise."""
    name = clip.name[: -len(f"{'0' * _DIGITS}{clip.suffix}")]
    for path in clip.parent.glob(f"{name}*{clip.suffix}"):
        if path != clip and len(path.name) == len(clip.name):
            path.unlink(missing_ok=True)


def _frames(adapter: ModelAdapter, avatar: AvatarState) -> Iterator[UInt8]:
    out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
    for pose in range(avatar.idle_frames):
        adapter.idle_frame(avatar, pose, out)
        yield out


def _digest(bundle: Path, adapter: ModelAdapter) -> str:
    code = Path(sys.modules[type(adapter).__module__].__file__ or "").parent
    digest = hashlib.sha256()
    for path in (*sorted(bundle.rglob("*")), *sorted(code.glob("*.*")), *_SHARED):
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:_DIGITS]

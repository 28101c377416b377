"""Pictures as they come and as they go: JPEG to I420 of the avatar's size, and the idle pictures of a bundle."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from opentalking.avatars import AvatarError, Bundle
from opentalking.models.planes import covering
from opentalking.models.remote.wire import WireError
from opentalking.types import FPS, UInt8

IDLE_FRAMES = 50  # of a still picture
_FORTH = 126  # pictures of a clip that are used at most; 250 there and back
_CLIPS = ("idle.mp4", "idle.webm", "idle.mov", "idle.avi")


def decode_jpeg(jpeg: bytes, width: int, height: int) -> UInt8:
    """I420 of (width, height), uint8 (height*3//2, width). Another size or shape is scaled to cover it and cut."""
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if bgr is None:
        raise WireError(f"a picture of {len(jpeg)} bytes is not a JPEG that can be read")
    return to_i420(covering(np.asarray(bgr, np.uint8), width, height))


def to_i420(bgr: UInt8) -> UInt8:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)


def idle_pictures(bundle: Bundle) -> list[UInt8]:
    """The idle loop as distinct I420 pictures: the bundle's clip or frames there and back, or its still picture alone.

    Raises AvatarError naming the file that cannot be read."""
    size = bundle.manifest.width, bundle.manifest.height
    clip = clip_file(bundle)
    frames = frame_files(bundle)[:_FORTH]
    if clip is not None:
        forth = [to_i420(covering(bgr, *size)) for bgr in _frames(clip)]
        if not forth:
            raise AvatarError(f"{bundle.id}/{clip.name}: not a video that can be read")
    else:
        forth = [to_i420(covering(_read(path, bundle), *size)) for path in frames or [bundle.reference]]
    return forth + forth[-2:0:-1]


def frame_files(bundle: Bundle) -> list[Path]:
    """The pictures of a film, in order; none, if the bundle is a still picture's."""
    return sorted((bundle.path / "frames").glob("frame_*.[jp][pn]g"))


def still_picture(bundle: Bundle) -> UInt8:
    """The picture that is sent, I420 of the bundle's size. Raises AvatarError if it cannot be read."""
    return to_i420(covering(_read(bundle.reference, bundle), bundle.manifest.width, bundle.manifest.height))


def clip_file(bundle: Bundle) -> Path | None:
    """A video that is the bundle's idle loop, if it has one."""
    return next((bundle.path / name for name in _CLIPS if (bundle.path / name).is_file()), None)


def _read(path: Path, bundle: Bundle) -> UInt8:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise AvatarError(f"{bundle.id}/{path.relative_to(bundle.path)}: not a picture that can be read")
    return np.asarray(bgr, np.uint8)


def _frames(path: Path) -> list[UInt8]:
    """A clip's pictures at our frame rate, BGR."""
    clip = cv2.VideoCapture(str(path))
    step = max(1.0, (clip.get(cv2.CAP_PROP_FPS) or FPS) / FPS)
    frames: list[UInt8] = []
    number = 0
    while len(frames) < _FORTH:
        read, bgr = clip.read()
        if not read:
            break
        if number >= len(frames) * step:
            frames.append(np.asarray(bgr, np.uint8))
        number += 1
    clip.release()
    return frames


def blended(picture: UInt8, share: float, other: UInt8, out: UInt8) -> None:
    """`share` of the picture and the rest of the other into `out`; all I420 of one shape."""
    cv2.addWeighted(picture, share, other, 1 - share, 0, dst=out)

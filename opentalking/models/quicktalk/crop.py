"""The face as the network wants it: turned upright by three points, and back into the picture through a soft mask.

    picture ──eyes, nose to the template──> 256 x 256 RGB ──network──> 256 x 256 RGB ──mask──> the mouth's box in I420

The template is that of the network's training: eyes and nose in a face of 75 x 100, of which the crop is a picture of
210 x 280 squeezed to a square (the figures: docs/quicktalk.md). The points are taken of Face Mesh's 468.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from opentalking.models.adapter import ModelError
from opentalking.models.patch import SoftPatch, soft_patch
from opentalking.models.planes import centred, planes
from opentalking.models.quicktalk.network import SIDE
from opentalking.types import Float32, UInt8

_RIGHT_EYE, _LEFT_EYE, _NOSE = (33, 133, 159, 145), (263, 362, 386, 374), (4,)
_SCALE = 2.8
_TEMPLATE = np.array([[17, 20], [58, 20], [37.5, 40]]) * _SCALE * [SIDE / 210, SIDE / 280]
_SQUEEZE = np.array([SIDE / 210, SIDE / 280])
_FEATHER = 9.0  # sigma, pixels of the crop
_EDGE = 10  # pixels of the crop that keep clear of the patch: there it ends


@dataclass(frozen=True, slots=True)
class Repair:
    """What the network draws anew, float32 (256, 256): as it is told (`channel`), what it sees (`kept`, 1 where the
    face stays), and how much of what it drew is shown (`shown`)."""

    channel: Float32
    kept: Float32
    shown: Float32


@dataclass(frozen=True, slots=True)
class Crop:
    """One face of one picture: `face` uint8 RGB (256, 256, 3), `to_crop` the affine (2, 3) from picture to crop, and
    where in the picture what is drawn of it goes."""

    face: UInt8
    to_crop: Float32
    patch: SoftPatch


def read_repair(path: Path) -> Repair:
    """`repair.npy`: a mask of 256 x 256, in 0..1 or 0..255, of one channel or equal ones; white is what is drawn anew
    or what is kept, told by the middle of the mouth. Raises ModelError."""
    try:
        stored = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{path} cannot be read as an array: {error}") from error
    values = np.squeeze(stored).astype(np.float32)
    if values.ndim == 3:
        values = values[..., 0] if values.shape[-1] in (1, 3) else values[0]
    if values.shape != (SIDE, SIDE):
        raise ModelError(f"{path} has the shape {stored.shape}: a mask of {SIDE} x {SIDE} is needed")
    channel: Float32 = values / 255 if values.max() > 1 else values
    anew = channel if channel[SIDE * 3 // 4, SIDE // 2] > 0.5 else 1 - channel
    inside = np.zeros_like(anew)
    inside[_EDGE:-_EDGE, _EDGE:-_EDGE] = anew[_EDGE:-_EDGE, _EDGE:-_EDGE]
    shown = np.asarray(cv2.GaussianBlur(cv2.erode(inside, np.ones((9, 9))), (0, 0), _FEATHER), np.float32)
    if shown.max() < 0.5:
        raise ModelError(f"{path} leaves nothing of the face to be drawn")
    return Repair(channel, 1 - anew, shown)


def cut_face(bgr: UInt8, points: Float32, repair: Repair) -> Crop:
    """The crop of the face with these landmarks, float32 (468, 2 or 3), in `bgr`, uint8 (height, width, 3).

    Raises ValueError if its mouth is outside of the picture."""
    to_crop = _alignment(points)
    flags = cv2.INTER_AREA if abs(np.linalg.det(to_crop[:, :2])) < 1 else cv2.INTER_LINEAR
    face = cv2.cvtColor(cv2.warpAffine(bgr, to_crop, (SIDE, SIDE), flags=flags), cv2.COLOR_BGR2RGB)
    height, width = bgr.shape[:2]
    whole = cv2.warpAffine(repair.shown, to_crop, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return Crop(np.asarray(face, np.uint8), to_crop, soft_patch(np.asarray(whole, np.float32)))


def network_face(crop: Crop, repair: Repair) -> Float32:
    """The network's face input, float32 (7, 256, 256): mask, face without what is drawn anew, face."""
    rgb = crop.face.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return np.concatenate([repair.channel[None], rgb * repair.kept, rgb])


def paste(image: Float32, crop: Crop, share: float, out: UInt8) -> None:
    """Lay what the network drew, float32 (3, 256, 256) RGB in 0..1, over the I420 picture `out`, `share` of it."""
    x0, y0, x1, y1 = crop.patch.box
    bgr = np.ascontiguousarray(image[::-1].transpose(1, 2, 0)) * np.float32(255)
    from_box = crop.to_crop.copy()
    from_box[:, 2] += from_box[:, :2] @ np.array([x0, y0], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(bgr, from_box, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    yuv = centred(np.clip(np.asarray(patch, np.float32), 0, 255))
    crop.patch.lay(yuv, share, planes(out))


def _alignment(points: Float32) -> Float32:
    """The affine (2, 3) that takes the face nearest to the template by turning, scaling and moving (least squares, by
    complex numbers: 'a z + b'), then squeezes it to the square."""
    flat = np.asarray(points, np.float64)[:, :2]
    source = np.array([flat[list(group)].mean(0) for group in (_RIGHT_EYE, _LEFT_EYE, _NOSE)]) @ [1, 1j]
    target = (_TEMPLATE / _SQUEEZE) @ [1, 1j]
    around, goal = source - source.mean(), target - target.mean()
    turn = np.vdot(around, goal) / np.vdot(around, around)
    move = target.mean() - turn * source.mean()
    upright = np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
    return np.asarray(upright * _SQUEEZE[:, None], np.float32)

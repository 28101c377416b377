"""Per frame: what an open mouth shows. Teeth and tongue were rendered once from a CC0 head (data/*.png).

    upper teeth   fixed to the skull
    lower teeth   go down with three quarters of the jaw
    tongue        between them; rises for t, n, l; lies over the lower teeth for th

All colours are centred YUV (planes.py), so shade is a factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from opentalking.models.portrait.lips import LipLines
from opentalking.models.portrait.planes import CENTRE, Planes, centred, halved, resized
from opentalking.models.portrait.shapes import DATA, INNER_UPPER, NOSE_TIP
from opentalking.models.portrait.visemes import JAW_OPEN, TONGUE_OUT, TONGUE_UP
from opentalking.types import Float32, UInt8

if TYPE_CHECKING:
    from opentalking.models.portrait.rig import Rig

_SPRITE_WIDTH = 262  # pixels of the teeth pictures that span the inner mouth at rest
_TONGUE_WIDTH = 241
_GUM_BGR: Float32 = np.array((104, 108, 172), np.float32)
_DARK_BGR = ((22, 16, 42), (38, 30, 78))  # behind everything: at the upper lip, at the lower
_TOOTH_BGR = (0.96, 0.97, 1.03)  # the renders' white, a little warmer
_TONGUE_BGR = (0.66, 0.62, 0.90)
_FLAT_TOOTH_BGR: Float32 = np.array((236, 242, 246), np.float32)
_FADE_FROM, _FADE_OVER = 0.007, 0.016  # opening at which the interior begins to appear, and over which; eye distances
_EDGE = 1.8  # pixels over which lip turns into interior

_DARK = centred(np.array(_DARK_BGR, np.float32))


@dataclass(frozen=True, slots=True)
class Sprites:
    """Each float32 (height, width, 4): centred YUV times alpha, and alpha 0..1, at the picture's scale."""

    teeth_upper: Float32
    teeth_lower: Float32
    tongue: Float32


def build_sprites(bgr: UInt8, landmarks: Float32, seam: Float32, flat_teeth: bool) -> Sprites:
    """The sprites for this mouth's width and the light on this face; `flat_teeth` for drawn characters."""
    width = float(np.linalg.norm(seam[-1] - seam[0]))
    x, y = landmarks[NOSE_TIP, :2].astype(int)
    light = float(np.clip(bgr[y - 2 : y + 3, x - 2 : x + 3].max(axis=-1).mean() / 205, 0.7, 1.0))
    scale = width / _SPRITE_WIDTH
    if flat_teeth:  # one band above; a second one below reads as a gap tooth
        upper, lower = _flat_band(int(width * 1.1), int(width * 0.2)), np.zeros((2, 1, 4), np.float32)
    else:
        upper = _sprite(_with_gum(_read("teeth_upper.png", 62, 140)), _TOOTH_BGR, light * 1.1, scale, 0.45)
        lower = _sprite(_read("teeth_lower.png", 96, 222), _TOOTH_BGR, light * 0.9, scale, 0.5)
    tongue = _sprite(_read("tongue.png", 48, 158), _TONGUE_BGR, light * 0.9, width / _TONGUE_WIDTH, 0.3)
    return Sprites(upper, lower, tongue)


def _read(name: str, top: int, bottom: int) -> Float32:
    picture = np.asarray(cv2.imread(str(DATA / name), cv2.IMREAD_UNCHANGED), np.float32)
    return picture[top:bottom]


def _with_gum(teeth: Float32, height: int = 60, under: int = 30) -> Float32:
    """Gum above the upper teeth and between their necks, where the render has only air."""
    across = np.abs(np.linspace(-1, 1, teeth.shape[1])) < 0.82
    gum = np.zeros((height, teeth.shape[1], 4), np.float32)
    gum[..., :3], gum[..., 3] = _GUM_BGR, 255 * across
    necks = teeth[:under]
    alpha = necks[..., 3:] / 255
    necks[..., :3] = necks[..., :3] * alpha + _GUM_BGR * (1 - alpha)
    necks[..., 3] = np.maximum(necks[..., 3], 255 * across)
    return np.concatenate([gum, teeth])


def _sprite(picture: Float32, tint: tuple[float, float, float], light: float, scale: float, falloff: float) -> Float32:
    """BGRA 0..255 to a sprite: tinted, lit, darker by `falloff` toward the sides, scaled."""
    across = np.clip(np.abs(np.linspace(-1, 1, picture.shape[1])) / 0.84, 0, 1)
    shade = (light * (1 - falloff * across**2))[None, :, None]
    colour = np.asarray(np.clip(picture[..., :3] * np.array(tint, np.float32) * shade, 0, 250), np.float32)
    alpha = picture[..., 3:] / np.float32(255)
    premultiplied = np.concatenate([centred(colour) * alpha, alpha], axis=-1)
    size = (max(4, round(picture.shape[1] * scale)), max(3, round(picture.shape[0] * scale)))
    return _framed(resized(premultiplied, size, cv2.INTER_AREA))


def _framed(sprite: Float32) -> Float32:
    """With an empty row above and below, so that it can be drawn between two rows."""
    return np.pad(sprite, ((1, 1), (0, 0), (0, 0)))


def _flat_band(width: int, height: int) -> Float32:
    """One white band with rounded ends, as teeth are drawn."""
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, (width // 2, 0), (width // 2, height - 1), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cover = alpha[..., None] / np.float32(255)
    return _framed(np.concatenate([centred(_FLAT_TOOTH_BGR) * cover, cover], axis=-1))


def draw_interior(rig: Rig, mouth: Float32, lines: LipLines, face: Planes) -> None:
    """Lay teeth and tongue into the opening between the lips, if there is one."""
    opening = lines.lower - lines.upper
    fade_from, fade_over = _FADE_FROM * float(rig.eye_distance), _FADE_OVER * float(rig.eye_distance)
    open_columns = np.flatnonzero(opening > fade_from)
    if len(open_columns) == 0:
        return
    first, last = int(open_columns[0]) // 2 * 2, int(open_columns[-1]) // 2 * 2 + 2
    first -= (lines.x0 + first) % 2
    upper, lower = lines.upper[first:last], lines.lower[first:last]
    height, width = face.y.shape
    top = max(0, int(upper.min()) // 2 * 2 - 2)
    bottom = min(height, int(lower.max()) // 2 * 2 + 4)
    left, right = lines.x0 + first, min(width, lines.x0 + last)
    rows = np.arange(top, bottom, dtype=np.float32)[:, None]

    show = np.clip((rows - upper) / _EDGE + 0.5, 0, 1) * np.clip((lower - rows) / _EDGE + 0.5, 0, 1)
    show *= np.clip((opening[first:last] - fade_from) / fade_over, 0, 1)
    inside = _contents(rig, mouth, (left, top, right, bottom))
    inside *= _shade(rows, upper, lower, float(rig.eye_distance))[..., None]

    alpha = show[..., None]
    luma = face.y[top:bottom, left:right]
    luma[:] = np.rint(luma + (inside[..., 0] + CENTRE[0] - luma) * show)
    half = halved(np.concatenate([inside[..., 1:] * alpha, alpha], axis=-1))
    for index, plane in enumerate((face.u, face.v)):
        chroma = plane[top // 2 : bottom // 2, left // 2 : right // 2]
        chroma[:] = np.rint(chroma * (1 - half[..., 2]) + half[..., index] + CENTRE[1] * half[..., 2])


def _contents(rig: Rig, mouth: Float32, box: tuple[int, int, int, int]) -> Float32:
    """Dark, tongue, teeth, from back to front: centred YUV (height, width, 3)."""
    left, top, right, bottom = box
    depth = np.linspace(0, 1, bottom - top, dtype=np.float32)[:, None, None]
    inside = np.broadcast_to(_DARK[0] + depth * (_DARK[1] - _DARK[0]), (bottom - top, right - left, 3)).copy()
    eye_distance, jaw = float(rig.eye_distance), float(mouth[JAW_OPEN] * rig.jaw_drop)
    middle = float(rig.seam[[0, -1], 0].mean())
    seam = float(rig.seam[len(INNER_UPPER) // 2, 1])
    x, y = middle - left, seam - top
    tongue_up, tongue_out = float(mouth[TONGUE_UP]), float(mouth[TONGUE_OUT])
    _paste(inside, rig.tongue, x, y + jaw * (0.60 - 0.5 * tongue_up) - 0.01 * eye_distance)
    _paste(inside, rig.teeth_lower, x, y + jaw * 0.74 + 0.035 * eye_distance)
    if tongue_out > 0.3:
        _paste(inside, rig.tongue, x, y + jaw * 0.35)
    _paste(inside, rig.teeth_upper, x, y + 0.04 * eye_distance - rig.teeth_upper.shape[0] + 1)
    return inside


def _shade(rows: Float32, upper: Float32, lower: Float32, eye_distance: float) -> Float32:
    """Light that reaches in: less under the upper lip and toward both corners of the opening."""
    under_lip = np.clip((rows - upper) / (0.05 * eye_distance), 0, 1)
    height = np.clip((lower - upper) / (0.10 * eye_distance), 0, 1)
    shade: Float32 = (0.82 + 0.18 * under_lip) * (0.90 + 0.10 * height)
    return shade


def _paste(target: Float32, sprite: Float32, centre_x: float, top_y: float) -> None:
    """Lay a sprite over `target`, (height, width, 3): its middle at `centre_x`, its upper edge at `top_y`.

    Between two rows the sprite is mixed from both: in whole pixels the lower teeth would judder with the jaw."""
    height, width = sprite.shape[0] - 1, sprite.shape[1]
    row = int(np.floor(top_y))
    down = np.float32(top_y - row)
    column = round(centre_x - width / 2)
    top, left = max(0, row), max(0, column)
    bottom, right = min(target.shape[0], row + height), min(target.shape[1], column + width)
    if bottom <= top or right <= left:
        return
    across = slice(left - column, right - column)
    higher, lower = sprite[top - row + 1 : bottom - row + 1, across], sprite[top - row : bottom - row, across]
    part = higher + (lower - higher) * down
    below = target[top:bottom, left:right]
    below *= 1 - part[..., 3:]
    below += part[..., :3]

"""Teeth and tongue of one face, made once: the rendered ones in this face's light, or its own teeth if it shows them.

The renders (data/*.png, from a CC0 head) are grey-white; teeth in a photo take the colour of the light and of the skin
around them. Both are read off the face: how bright teeth are from its skin and the whites of its eyes, their tint from
the skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from opentalking.models.planes import centred, resized
from opentalking.models.portrait.shapes import DATA, INNER_LOWER, INNER_UPPER, LEFT_EYE, RIGHT_EYE
from opentalking.types import Float32, UInt8

_SPRITE_WIDTH = 262  # pixels of the teeth pictures that span the inner mouth at rest
_TONGUE_WIDTH = 241
_GUM_BGR: Float32 = np.array((104, 108, 172), np.float32)
_FLAT_TOOTH_BGR: Float32 = np.array((236, 242, 246), np.float32)
_FLAT_GLOOM = 0.3
_CHEEKS = (50, 280, 205, 425)  # landmarks on plain skin
_LIPS = (0, 37, 267, 17, 84, 314)
_SHADED: Float32 = np.array([0.26, 0.4, 0.9], np.float32)  # of a lip's luma and colour, what is left in deep shade
_TOOTH_HEIGHT = 0.115  # of an upper front tooth, in eye distances
_TOOTH_RED = 0.7  # a tooth is less red than this share of its lip
_WHITE_U, _WHITE_V = 0.50, 0.40  # share of the skin's tint that teeth take: of its yellow, of its red


@dataclass(frozen=True, slots=True)
class Sprites:
    """Each float32 (height, width, 4): centred YUV times alpha, and alpha 0..1, at the picture's scale."""

    teeth_upper: Float32
    teeth_lower: Float32
    tongue: Float32
    teeth_at: Float32  # (2,) column of the upper teeth's middle and their first row, pixels of the picture
    flesh: Float32  # (3,) centred YUV that everything tends to in the shade of the lips
    gloom: Float32  # () how much of that shade there is: drawings have flat light


@dataclass(frozen=True, slots=True)
class _Light:
    """`white` is the luma that bright teeth have on this face; `tint` the centred U and V of its skin at that luma."""

    white: float
    tint: Float32


def build_sprites(
    bgr: UInt8, landmarks: Float32, seam: Float32, *, eye_distance: float, drawn: bool, is_open: bool, soft_px: float
) -> Sprites:
    """The sprites for this mouth's width and the light on this face, no sharper than the picture.

    `drawn` characters get one white band; `soft_px` is the sigma of the blur that the picture has already."""
    points = landmarks[:, :2]
    width = float(np.linalg.norm(seam[-1] - seam[0]))
    scale = width / _SPRITE_WIDTH
    light = _light(bgr, points)
    if drawn:  # one band above; a second one below reads as a gap tooth
        upper, lower = _flat_band(int(width * 1.1), int(width * 0.2)), np.zeros((2, 1, 4), np.float32)
    else:
        upper = _sprite(_with_gum(_read("teeth_upper.png", 62, 140)), light, 1.0, scale, 0.45)
        lower = _sprite(_read("teeth_lower.png", 96, 222), light, 0.86, scale, 0.5)
    tongue = _sprite(_rounded(_read("tongue.png", 48, 158)), light, 0.66, width / _TONGUE_WIDTH, 0.45, red=20)
    middle, row = float(seam[[0, -1], 0].mean()), float(seam[len(seam) // 2, 1])
    at = middle, row + 0.04 * eye_distance - upper.shape[0] + 1
    own = _own_teeth(bgr, points, eye_distance) if is_open and not drawn else None
    if own is not None:
        upper, at = own
    elif not drawn:
        upper = _blurred(upper, soft_px)
    return Sprites(
        teeth_upper=upper,
        teeth_lower=_blurred(lower, soft_px),
        tongue=_blurred(tongue, soft_px),
        teeth_at=np.array(at, np.float32),
        flesh=_flesh(bgr, points),
        gloom=np.array(_FLAT_GLOOM if drawn else 1.0, np.float32),
    )


def _light(bgr: UInt8, points: Float32) -> _Light:
    skin = centred(np.median(np.concatenate([_around(bgr, points[i]) for i in _CHEEKS]), axis=0))
    inside = np.zeros(bgr.shape[:2], np.uint8)
    for eye in (RIGHT_EYE, LEFT_EYE):
        cv2.fillPoly(inside, [points[[*eye[0], *eye[1][::-1]]].round().astype(np.int32)], 255)
    eyes = centred(bgr[inside > 0])[:, 0]
    sclera = float(np.percentile(eyes, 80)) if len(eyes) else 0.0
    white = float(np.clip(max(1.12 * skin[0], 1.05 * sclera), 90, 205))
    return _Light(white, skin[1:] * np.float32(white / max(float(skin[0]), 1)))


def _flesh(bgr: UInt8, points: Float32) -> Float32:
    lips = centred(np.median(np.concatenate([_around(bgr, points[i], 1) for i in _LIPS]), axis=0))
    return np.asarray(lips * _SHADED, np.float32)


def _around(bgr: UInt8, point: Float32, reach: int = 4) -> UInt8:
    x, y = point.astype(int)
    return bgr[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].reshape(-1, 3)


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


def _rounded(tongue: Float32) -> Float32:
    """The tongue's back in shade and its rear edge out of sight: it is a hump with a furrow, not a plate."""
    across = np.linspace(-1, 1, tongue.shape[1], dtype=np.float32)[None, :, None]
    down = np.linspace(0, 1, tongue.shape[0], dtype=np.float32)[:, None, None] - 0.35 * across**2
    tongue[..., :3] *= (0.62 + 0.43 * np.clip(down / 0.5, 0, 1)) * (1 - 0.14 * np.exp(-((across / 0.10) ** 2)))
    tongue[..., 3:] *= np.clip(down / 0.2, 0, 1)
    return tongue


def _sprite(picture: Float32, light: _Light, share: float, scale: float, falloff: float, red: float = 0) -> Float32:
    """BGRA 0..255 to a sprite: its bright parts at `share` of the light's white, tinted, darker by `falloff` toward
    the sides, scaled. `red` is added to V, for flesh."""
    across = np.clip(np.abs(np.linspace(-1, 1, picture.shape[1])) / 0.84, 0, 1)
    shade = np.asarray(1 - falloff * across**2, np.float32)[None, :, None]
    colour = centred(np.asarray(picture[..., :3], np.float32))
    alpha = np.asarray(picture[..., 3:] / 255, np.float32)
    bright = float(np.percentile(colour[..., 0][alpha[..., 0] > 0.8], 90))
    colour *= light.white * share / bright
    level = colour[..., :1] / light.white
    colour[..., 1:] += level * (light.tint * np.array([_WHITE_U, _WHITE_V], np.float32) + [0, red])
    premultiplied = np.concatenate([colour * shade * alpha, alpha], axis=-1)
    size = (max(4, round(picture.shape[1] * scale)), max(3, round(picture.shape[0] * scale)))
    return _framed(resized(premultiplied.astype(np.float32), size, cv2.INTER_AREA))


def _framed(sprite: Float32) -> Float32:
    """With an empty row above and below, so that it can be drawn between two rows."""
    return np.pad(sprite, ((1, 1), (0, 0), (0, 0)))


def _blurred(sprite: Float32, sigma: float) -> Float32:
    """No sharper than the picture; a render at this scale has a blur of half a pixel itself."""
    extra = float(np.sqrt(max(0.0, sigma**2 - 0.5**2)))
    if extra < 0.3 or sprite.shape[0] < 3:
        return sprite
    return np.asarray(cv2.GaussianBlur(sprite, (0, 0), extra, borderType=cv2.BORDER_CONSTANT), np.float32)


def _flat_band(width: int, height: int) -> Float32:
    """One white band with rounded ends, as teeth are drawn."""
    alpha = np.zeros((height, width), np.uint8)
    cv2.ellipse(alpha, (width // 2, 0), (width // 2, height - 1), 0, 0, 360, 255, -1, cv2.LINE_AA)
    cover = alpha[..., None] / np.float32(255)
    return _framed(np.concatenate([centred(_FLAT_TOOTH_BGR) * cover, cover], axis=-1))


def _own_teeth(bgr: UInt8, points: Float32, eye_distance: float) -> tuple[Float32, tuple[float, float]] | None:
    """The upper teeth that the picture's open mouth shows, and where they are; None if it shows next to none.

    Above the lip's edge the first row is repeated: a lip that rises shows more tooth, not a hole."""
    gap = points[[*INNER_UPPER, *INNER_LOWER[-2:0:-1]]]
    x0, y0 = np.floor(gap.min(0)).astype(int)
    x1, y1 = np.ceil(gap.max(0)).astype(int) + 1
    rise = round(0.06 * eye_distance)
    crop = centred(bgr[y0 - rise : y1, x0:x1])
    columns = np.arange(x0, x1)
    rows = np.arange(y0 - rise, y1)[:, None]
    top = np.interp(columns, points[INNER_UPPER, 0], points[INNER_UPPER, 1])
    bottom = np.interp(columns, points[INNER_LOWER, 0], points[INNER_LOWER, 1])
    edge = 0.016 * eye_distance  # pixels there are a mixture of lip and tooth
    inside = (rows > top) & (rows < bottom)
    if inside.sum() < 20:
        return None
    bright = float(np.percentile(crop[..., 0][inside], 85))
    lip = centred(np.median(_around(bgr, points[17]), axis=0))
    white = np.clip((crop[..., 0] / bright - 0.35) / 0.3, 0, 1)
    flesh = np.clip((crop[..., 2] - _TOOTH_RED * lip[2]) / max(0.25 * float(lip[2]), 2) + 0.5, 0, 1)
    necks = top + 0.6 * _TOOTH_HEIGHT * eye_distance - rows  # red above that is gum, below it the lower lip or tongue
    white *= 1 - flesh * np.clip(1 - necks / 3, 0, 1)
    if white[inside].mean() < 0.3:
        return None
    alpha = white * np.clip((bottom - edge - rows) / 2, 0, 1)
    alpha *= np.clip((top + _TOOTH_HEIGHT * eye_distance - rows) / 4, 0, 1)
    sprite = np.concatenate([crop * alpha[..., None], alpha[..., None]], axis=-1).astype(np.float32)
    first = np.clip(np.rint(top + edge) - rows[0], 0, len(rows) - 1).astype(int)
    source = np.maximum(np.arange(len(rows))[:, None], first)
    sprite = np.take_along_axis(sprite, source[..., None], axis=0)
    return _framed(sprite), (float(x0 + (x1 - x0) / 2), float(y0 - rise))

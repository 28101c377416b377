"""Per frame: what an open mouth shows, from the face's teeth and tongue (sprites.py).

    upper teeth   fixed to the skull
    lower teeth   go down with three quarters of the jaw
    tongue        between them; rises for t, n, l; lies over the lower teeth for th

All colours are centred YUV (planes.py), so shade is a factor. What lies in the shade of the lips goes toward the
colour of flesh, not toward black or grey: light gets there through and off the lips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from opentalking.models.planes import CENTRE, Planes, halved
from opentalking.models.portrait.lips import LipLines
from opentalking.models.portrait.shapes import INNER_UPPER
from opentalking.models.portrait.visemes import FUNNEL, JAW_OPEN, TONGUE_OUT, TONGUE_UP
from opentalking.types import Float32

if TYPE_CHECKING:
    from opentalking.models.portrait.rig import Rig

_BACK = (0.45, 0.95)  # behind everything, as a share of the flesh in shade: at the upper lip, at the lower
_FADE_FROM, _FADE_OVER = 0.007, 0.016  # opening at which the interior begins to appear, and over which; eye distances
_EDGE = 0.015  # over which lip turns into interior, eye distances

_LIP_SHADOW = 0.05  # how far down the upper lip's shadow reaches, eye distances
_WIDE = 0.08  # opening that lets all light in, eye distances


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

    edge = np.float32(_EDGE * rig.eye_distance)
    show = np.clip((rows - upper) / edge + 0.5, 0, 1) * np.clip((lower - rows) / edge + 0.5, 0, 1)
    for _ in range(2):  # toward the corners edges are steep
        show[:, 1:-1] = 0.5 * show[:, 1:-1] + 0.25 * (show[:, 2:] + show[:, :-2])
    show *= np.clip((opening[first:last] - fade_from) / fade_over, 0, 1)
    inside = _contents(rig, mouth, (left, top, right, bottom))
    shade = 1 - rig.gloom * (1 - _shade(rows, upper, lower, float(rig.eye_distance))[..., None])
    inside -= rig.flesh
    inside *= shade
    inside += rig.flesh

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
    back = rig.flesh * (_BACK[0] + depth * (_BACK[1] - _BACK[0]))
    inside = np.broadcast_to(back, (bottom - top, right - left, 3)).astype(np.float32)
    eye_distance, jaw = float(rig.eye_distance), float(mouth[JAW_OPEN] * rig.jaw_drop)
    middle = float(rig.seam[[0, -1], 0].mean())
    seam = float(rig.seam[len(INNER_UPPER) // 2, 1])
    x, y = middle - left, seam - top
    tongue_up, tongue_out = float(mouth[TONGUE_UP]), float(mouth[TONGUE_OUT])
    _paste(inside, rig.tongue, x, y + jaw * (0.60 - 0.55 * tongue_up) - (0.02 + 0.03 * tongue_up) * eye_distance)
    funnel = 0.055 * eye_distance * float(mouth[FUNNEL])  # lips that reach forward cover more of the lower teeth
    _paste(inside, rig.teeth_lower, x, y + jaw * 0.74 + 0.035 * eye_distance + funnel)
    if tongue_out > 0.3:
        _paste(inside, rig.tongue, x, y + jaw * 0.2 - 0.05 * eye_distance)
    _paste(inside, rig.teeth_upper, float(rig.teeth_at[0]) - left, float(rig.teeth_at[1]) - top)
    return inside


def _shade(rows: Float32, upper: Float32, lower: Float32, eye_distance: float) -> Float32:
    """Light that reaches in, 0..1: little right under the upper lip, and the less the narrower the opening is there."""
    height = np.clip((lower - upper) / (_WIDE * eye_distance), 0, 1)
    under_lip = np.clip((rows - upper) / (_LIP_SHADOW * eye_distance), 0, 1)
    over_lip = np.clip((lower - rows) / (0.04 * eye_distance), 0, 1)
    darkest = 0.34 + 0.36 * height
    shade: Float32 = darkest + (1 - darkest) * under_lip * (2 - under_lip)
    shade *= (0.82 + 0.18 * over_lip) * (0.60 + 0.40 * height)
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

"""Eyes that are not those of the picture: patches for every glance and every lid, made once.

    glance 0   (picture)  lid 1  lid 2  lid 3  lid 4
    glance 1   open       lid 1  …                      a patch each but for the first
    …

The lid's edge and lashes slide down and the skin above is stretched, as far up as it is bare: a brow or the rim of
spectacles stays where it is. Where the rim is so near that there is no skin to stretch, a lid is painted into the
opening of the eye and all around it stays as it is, glare on the glass included. Drawn characters' outlines must not be
stretched either: their eyes are painted over from above.
"""

from __future__ import annotations

import cv2
import numpy as np

from opentalking.models.planes import to_i420
from opentalking.models.portrait.gaze import GLANCES, glancing
from opentalking.models.portrait.shapes import LEFT_EYE, NOSE_BRIDGE, NOSE_MID, RIGHT_EYE
from opentalking.types import Float32, UInt8

LEVELS = (0.2, 0.5, 0.85, 1.0)  # how far the lid has come down
_STATES = 1 + len(LEVELS)
PATCHES = len(GLANCES) * _STATES - 1

_BRIDGE = 0.04  # contrast of a line across the nose, of the skin's luma, that only spectacles have
_RIM = 0.125  # contrast above the lid, of the skin's luma over two pixels, that creases do not have
_LASHES = 0.03  # how far above the lid's landmarks lashes and lid edge reach, eye distances
_FOLD = 0.16  # how far above the lid skin is stretched at most, eye distances
_NO_ROOM = 0.06  # a rim nearer than this leaves nothing to stretch, eye distances
_INNER_CORNERS = (133, 362)

Box = tuple[int, int, int, int]


def patch_of(glance: int, lid: int | None) -> int | None:
    """Index of the patch that shows this glance under this lid (None: open); None if that is the picture itself."""
    index = glance * _STATES + (0 if lid is None else 1 + lid)
    return index - 1 if index else None


def build_patches(
    bgr: UInt8, points: Float32, eye_distance: float, flat: bool = False
) -> tuple[list[Box], tuple[UInt8, UInt8]]:
    """Boxes (x0, y0, x1, y1; even) and patches, uint8 (PATCHES, I420 rows, I420 columns), of right and left eye.

    `flat` is for drawn characters."""
    behind_glass = not flat and wears_spectacles(bgr, points, eye_distance)
    right, left = (_white_below(bgr, points[eye[1]], eye_distance, flat) for eye in (RIGHT_EYE, LEFT_EYE))
    pictures = glancing(bgr, points, eye_distance, (right, left) if flat else (0.0, 0.0), beyond=0.05 if flat else 0.0)
    boxes, patches = [], []
    for (upper, lower), below in ((RIGHT_EYE, right), (LEFT_EYE, left)):
        lids = points[upper], points[lower]
        box = _box(np.concatenate(lids), eye_distance, bgr.shape[1], bgr.shape[0])
        x0, y0, x1, y1 = box
        room = _FOLD * eye_distance if flat else _bare_above(bgr, lids[0], eye_distance)
        painted_in = behind_glass and room < _NO_ROOM * eye_distance
        made: list[UInt8] = []
        for picture in pictures:
            made.append(picture[y0:y1, x0:x1])
            for level in LEVELS:
                if painted_in:
                    made.append(_veiled(picture, *lids, box, eye_distance, level))
                elif flat:
                    made.append(_painted(picture, *lids, box, eye_distance, level))
                else:
                    made.append(_closed(picture, *lids, box, eye_distance, level, below, room))
        boxes.append(box)
        patches.append(np.stack([to_i420(patch) for patch in made[1:]]))
    return boxes, (patches[0], patches[1])


def wears_spectacles(bgr: UInt8, points: Float32, eye_distance: float) -> bool:
    """Whether a line runs across the nose between the eyes, where bare skin has none."""
    right, left = points[list(_INNER_CORNERS), 0]
    columns = np.arange(int(right + 0.28 * (left - right)), int(left - 0.28 * (left - right)) + 1)
    top = int(points[NOSE_BRIDGE, 1] - 0.08 * eye_distance)
    bottom = int(points[NOSE_MID, 1])
    luma = cv2.GaussianBlur(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), max(1, eye_distance / 70))
    nose = luma[max(0, top) : bottom, columns]
    # a bridge is bowed: a step counts for the rows around it as well
    steps = cv2.dilate(np.abs(np.diff(nose, axis=0)), np.ones((2 * int(0.02 * eye_distance) + 1, 1), np.uint8))
    return bool(np.median(steps, axis=1).max() > _BRIDGE * nose.mean())


def _bare_above(bgr: UInt8, upper: Float32, eye_distance: float) -> float:
    """How far above the lid there is skin and neither brow nor rim, pixels, up to the height that a lid takes."""
    left, right = upper[0, 0], upper[-1, 0]
    xs = np.arange(int(left + 0.25 * (right - left)), int(right - 0.25 * (right - left)) + 1)
    top = np.interp(xs, upper[:, 0], upper[:, 1]).astype(int)
    luma = cv2.GaussianBlur(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), max(1, eye_distance / 70))
    first, last = round(_LASHES * eye_distance), round(_FOLD * eye_distance)
    rows = [np.clip(top - up, 1, len(luma) - 2) for up in range(first, last + 1)]
    steps = np.array([np.median(np.abs(luma[row - 1, xs] - luma[row + 1, xs])) for row in rows])
    skin = float(np.median([np.median(luma[row, xs]) for row in rows]))
    calm = int(np.argmax(steps < _RIM * skin))  # past the lashes
    rim = np.flatnonzero(steps[calm:] > _RIM * skin)
    return 0.8 * (first + calm + int(rim[0])) if len(rim) else _FOLD * eye_distance


def _veiled(bgr: UInt8, upper: Float32, lower: Float32, box: Box, eye_distance: float, level: float) -> UInt8:
    """The box with a lid painted over the upper `level` of the eye's opening, and nothing else touched."""
    x0, y0, x1, y1 = box
    patch = bgr[y0:y1, x0:x1].astype(np.float32)
    xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    top, bottom = (np.interp(xs, lid[:, 0], lid[:, 1]) for lid in (upper, lower))
    edge = top + (bottom - top) * level
    inside = (xs > upper[0, 0]) & (xs < upper[-1, 0])
    cover = np.clip(ys - top + 0.5, 0, 1) * np.clip(edge - ys + 0.5, 0, 1) * inside
    # its skin runs from that above the eye to that below
    reach = max(2, round(0.025 * eye_distance))
    above, below = (_row(bgr, xs, at.astype(np.float32), reach) for at in (top - reach - 1, bottom + reach + 1))
    down = np.clip((ys - top) / np.maximum(bottom - top, 1), 0, 1)[..., None]
    lid = (above + (below - above) * down) * (1 + 0.08 * np.sin(np.pi * down))
    lash = np.exp(-(((ys - edge) / (0.011 * eye_distance)) ** 2)) * inside * (0.5 * min(1.0, 2 * level))
    lash = lash * np.clip(bottom - ys + 1, 0, 1) * np.clip(ys - top + 1, 0, 1)
    glare = np.clip((patch[..., 1] / np.maximum(below[..., 1], 1) - 1.15) / 0.1, 0, 1)
    cover = cover * (1 - cv2.GaussianBlur(glare, (0, 0), 0.7))
    patch += (lid - patch) * cover[..., None]
    patch *= 1 - lash[..., None]
    return np.asarray(patch.round(), np.uint8)


def _row(bgr: UInt8, xs: Float32, rows: Float32, reach: int) -> Float32:
    """Colour around each column's row, (columns, 3), without detail."""
    height = bgr.shape[0]
    stacked = [
        bgr[np.clip(rows.astype(int) + up, 0, height - 1), xs.astype(int)] for up in range(-reach // 2, reach // 2 + 1)
    ]
    return np.asarray(
        cv2.GaussianBlur(np.median(stacked, axis=0)[None].astype(np.float32), (0, 0), 2.0 * reach)[0], np.float32
    )


def _box(lids: Float32, eye_distance: float, width: int, height: int) -> Box:
    low = np.floor(lids.min(0) - np.array([0.06, 0.20]) * eye_distance).astype(int) // 2 * 2
    high = np.ceil(lids.max(0) + np.array([0.06, 0.12]) * eye_distance).astype(int) // 2 * 2
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    return x0, y0, min(width, int(high[0])), min(height, int(high[1]))


def _closed(
    bgr: UInt8,
    upper: Float32,
    lower: Float32,
    box: Box,
    eye_distance: float,
    level: float,
    below: float,
    room: float,
) -> UInt8:
    """The box with the lid `level` of the way down, past the white `below` the landmarks in the end.

    Lid edge and lashes slide, the skin above them is stretched over `room`, pixels."""
    x0, y0, x1, y1 = box
    xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)[:, None]
    top, bottom = (np.interp(xs, lid[:, 0], lid[:, 1]).astype(np.float32) for lid in (upper, lower))
    inside = (xs >= upper[0, 0]) & (xs <= upper[-1, 0])
    # the corners meet anyway; in the middle the lid must pass all white that is still below the landmarks
    across = np.clip((xs - upper[0, 0]) / np.ptp(upper[:, 0]), 0, 1)
    bulge = (4 * across * (1 - across)) ** 0.25
    reach = np.maximum(bottom - top, 0) + bulge * (1.3 * below + 0.025 * eye_distance)
    travel = np.where(inside, reach * level, 0).astype(np.float32)
    travel = cv2.GaussianBlur(travel[None], (0, 0), eye_distance / 120)[0]
    edge, rigid = top + travel, 0.025 * eye_distance
    fold = top - room  # above this nothing moves
    above = fold + (ys - fold) * (top - rigid - fold) / (edge - rigid - fold)
    source = np.select([ys >= edge, ys >= edge - rigid, ys >= fold], [ys + 0 * edge, ys - travel, above], ys + 0 * edge)
    columns = np.broadcast_to(xs, source.shape)
    patch = cv2.remap(bgr, np.ascontiguousarray(columns), source.astype(np.float32), cv2.INTER_CUBIC)
    lash = np.exp(-(((ys - edge) / (0.010 * eye_distance)) ** 2)) * bulge * 0.45 * level
    return np.asarray(patch * (1 - lash[..., None]), np.float32).round().astype(np.uint8)


def _white_below(bgr: UInt8, lower: Float32, eye_distance: float, flat: bool) -> float:
    """How far the white of the eye reaches below the lower lid's landmarks, pixels: large eyes of drawn faces do.

    On a photo what is white further down is a gleam of skin."""
    deepest = 0
    for share in (0.25, 0.75):
        x = int(lower[0, 0] + share * (lower[-1, 0] - lower[0, 0]))
        y = int(np.interp(x, lower[:, 0], lower[:, 1]))
        blue = bgr[y : y + int(0.16 * eye_distance), x, 0].astype(int)  # skin is poor in blue, the white is not
        white = np.flatnonzero(blue > blue[-3:].mean() + 20)
        deepest = max(deepest, int(white[-1]) + 1 if len(white) else 0)
    return float(deepest) if flat else min(float(deepest), 0.02 * eye_distance)


def _painted(bgr: UInt8, upper: Float32, lower: Float32, box: Box, eye_distance: float, level: float) -> UInt8:
    """The box with a drawn eye painted over from above in the skin's colour, and a dark line where the lid ends."""
    x0, y0, x1, y1 = box
    patch = bgr[y0:y1, x0:x1].astype(np.float32)
    lids = np.concatenate([upper, lower])
    middle = (lids.min(0) + lids.max(0)) / 2 - [x0, y0]
    half_width = float(np.ptp(lids[:, 0])) / 2
    dark = patch.reshape(-1, 3)[patch.sum(-1).argmin()].copy()
    above = int(lids[:, 1].min() - 0.09 * eye_distance) - y0  # a row between eye and brow
    skin = np.median(patch[max(0, above)], axis=0)
    around = np.zeros(patch.shape[:2], np.uint8)
    size = (round(half_width * 1.55), round(0.16 * eye_distance))
    cv2.ellipse(around, middle.round().astype(int).tolist(), size, 0, 0, 360, 1, -1)
    eye = (np.abs(patch - skin).max(-1) > 18) & (around == 1)
    columns = np.flatnonzero(eye.any(0))
    if len(columns) < 8:  # nothing there that stands out of the skin
        return bgr[y0:y1, x0:x1]
    top, bottom = eye.argmax(0)[columns], eye.shape[0] - 1 - eye[::-1].argmax(0)[columns]
    across = np.polynomial.Polynomial.fit(columns, top + level * (bottom - top), 4)
    xs, ys = np.arange(x1 - x0), np.arange(y1 - y0)[:, None]
    edge = across(np.clip(xs, columns[0], columns[-1]))
    grown = cv2.GaussianBlur(cv2.dilate(eye.astype(np.float32), np.ones((5, 5), np.uint8)), (0, 0), 0.8)
    cover = grown * np.clip(edge - ys + 0.5, 0, 1)
    thick = max(1.0, 0.013 * eye_distance)
    line = np.clip(thick + 0.5 - np.abs(ys - edge), 0, 1) * ((xs >= columns[0]) & (xs <= columns[-1]))
    patch += (skin - patch) * cover[..., None]
    patch += (dark - patch) * line[..., None]
    return np.asarray(patch.round(), np.uint8)

"""The drawn character: flat shapes between smooth curves, in the manner of an editorial illustration.

Everything is drawn at four times its size and scaled down, which makes every edge smooth. Coordinates are those of the
512 x 512 picture; colours are blue, green, red in display values.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from opentalking.avatars.studio.vectors import Floats, Int32
from opentalking.types import UInt8

SIDE = 512
_FINER = 4
_SHIFT = 4  # cv2 draws to a sixteenth of a pixel
_MIDDLE = 256.0

Point = tuple[float, float]
Colour = tuple[int, int, int]

_SKIN, _SHADE, _BLUSH = (150, 186, 240), (122, 156, 220), (128, 140, 240)
_HAIR, _HAIR_DARK, _HAIR_LIGHT = (52, 62, 118), (40, 47, 92), (84, 104, 172)
_INK = (44, 40, 62)
_LIP_UPPER, _LIP, _LIP_LINE = (91, 88, 181), (104, 100, 206), (62, 54, 132)
_CLOTH, _CLOTH_DARK, _SHIRT = (128, 104, 46), (106, 84, 34), (238, 240, 244)


class Sheet:
    """A picture being drawn."""

    def __init__(self, above: Colour, below: Colour) -> None:
        down = np.linspace(0, 1, SIDE * _FINER)[:, None, None]
        colours = np.array(above) * (1 - down) + np.array(below) * down
        self.picture = np.ascontiguousarray(
            np.broadcast_to(colours, (SIDE * _FINER, SIDE * _FINER, 3)).round().astype(np.uint8)
        )

    def fill(self, outline: Floats, colour: Colour) -> None:
        cv2.fillPoly(self.picture, [self._fine(outline)], colour, cv2.LINE_AA, _SHIFT)

    def stroke(self, line: Floats, colour: Colour, width: float) -> None:
        cv2.polylines(self.picture, [self._fine(line)], False, colour, round(width * _FINER), cv2.LINE_AA, _SHIFT)

    def tapered(self, line: Floats, colour: Colour, widths: Sequence[float]) -> None:
        """A line whose width runs through `widths`, as a brush draws it."""
        across = np.gradient(line, axis=0)[:, ::-1] * [1, -1]
        across = across / (np.linalg.norm(across, axis=1, keepdims=True) + 1e-9)
        half = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)[:, None] / 2
        self.fill(np.concatenate([line + across * half, (line - across * half)[::-1]]), colour)

    def ellipse(self, centre: Point, radii: Point, colour: Colour, turned: float = 0.0) -> None:
        self.fill(oval(centre, radii, turned), colour)

    def soft(self, outline: Floats, colour: Colour, share: float, blur: float) -> None:
        """A shape with a blurred edge, mixed in by `share`; the blur is as well done at the final size."""
        shape = np.zeros((SIDE, SIDE), np.float32)
        cv2.fillPoly(shape, [self._fixed(outline, 1)], 1.0, cv2.LINE_AA, _SHIFT)
        shape = np.asarray(cv2.GaussianBlur(shape, (0, 0), blur), np.float32)
        mask = cv2.resize(shape, self.picture.shape[1::-1], interpolation=cv2.INTER_LINEAR) * share
        rows, columns = np.flatnonzero(mask.max(1) > 1e-3), np.flatnonzero(mask.max(0) > 1e-3)
        self._mix(np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], mask, np.array(colour, np.float32))

    def within(self, outline: Floats, drawn: Sheet) -> None:
        """Take over what `drawn` shows inside the outline."""
        mask = np.zeros(self.picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [self._fine(outline)], 255, cv2.LINE_AA, _SHIFT)
        (left, top), (right, bottom) = outline.min(0) * _FINER - 2, outline.max(0) * _FINER + 2
        box = np.s_[max(0, int(top)) : int(bottom), max(0, int(left)) : int(right)]
        self._mix(box, mask.astype(np.float32) / 255, drawn.picture[box])

    def _mix(self, box: tuple[slice, slice], mask: Floats, other: Floats | UInt8) -> None:
        share, below = mask[box][..., None], self.picture[box]
        below[:] = (below * (1 - share) + other * share).round()

    def copy(self) -> Sheet:
        other = Sheet.__new__(Sheet)
        other.picture = self.picture.copy()
        return other

    def finished(self) -> UInt8:
        """Uint8 BGR (512, 512, 3)."""
        return np.asarray(cv2.resize(self.picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)

    @staticmethod
    def _fixed(points: Floats, scale: int) -> Int32:
        return np.asarray((points * scale * 2**_SHIFT).round().astype(np.int32))

    def _fine(self, points: Floats) -> Int32:
        return self._fixed(points, _FINER)


def curve(points: Sequence[Point], closed: bool = False) -> Floats:
    """A smooth line through the points (Catmull-Rom), sixteen steps between two of them; float (n, 2)."""
    knots = np.array(points, np.float64)
    knots = np.concatenate([knots[-1:], knots, knots[:2]]) if closed else np.concatenate([knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, 16, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(knots[:-3], knots[1:-2], knots[2:-1], knots[3:], strict=True):
        parts.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(parts if closed else [*parts, knots[-2:-1]])


def _points(text: str) -> list[Point]:
    """Points as an SVG polygon lists them: "x,y x,y"."""
    x, y = zip(*(map(float, pair.split(",")) for pair in text.split()), strict=True)
    return list(zip(x, y, strict=True))


def oval(centre: Point, radii: Point, turned: float = 0.0) -> Floats:
    """An ellipse's outline, turned by degrees."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    points = np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], -1)
    turn = np.radians(turned)
    return np.asarray(points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + centre)


def mirrored(points: Floats, side: int) -> Floats:
    """The points, or with side -1 their mirror image about the middle line."""
    return np.asarray((points - [_MIDDLE, 0]) * [side, 1] + [_MIDDLE, 0])


def _both(left: Sequence[Point]) -> list[Point]:
    """A closed outline from its right half, listed from the top downward."""
    return [*left, *((2 * _MIDDLE - x, y) for x, y in reversed(left) if x != _MIDDLE)]


_FACE = curve(
    _both([(256, 128), (310, 140), (336, 180), (341, 224), (337, 264), (324, 304), (300, 338), (276, 355), (256, 359)]),
    closed=True,
)

_FRINGE = curve(
    _points("290,118 262,156 214,182 176,206 164,250 156,300 144,316 134,262 140,176 176,104 240,78 300,86"),
    closed=True,
)
_OTHER_SIDE = curve(
    _points("284,112 310,146 334,176 346,214 350,262 358,308 370,316 378,258 370,168 336,100 288,84 262,92"),
    closed=True,
)


def draw() -> UInt8:
    """The character, uint8 BGR (512, 512, 3)."""
    sheet = Sheet((226, 214, 196), (206, 186, 158))
    sheet.soft(oval((256, 240), (190, 190)), (244, 236, 224), 0.6, 40)
    _hair_behind(sheet)
    _body(sheet)
    _head(sheet)
    for side in (1, -1):
        _eye(sheet, side)
    _nose(sheet)
    _mouth(sheet)
    _hair_before(sheet)
    return sheet.finished()


def _hair_behind(sheet: Sheet) -> None:
    outline = curve(
        _points(
            "256,84 318,92 362,134 376,200 378,270 388,330 382,372 346,384 "
            "300,372 212,372 166,384 130,372 124,330 134,270 136,200 150,134 194,92"
        ),
        closed=True,
    )
    sheet.fill(outline, _HAIR_DARK)


def _body(sheet: Sheet) -> None:
    shoulders = curve(_points("40,540 58,478 104,446 170,430 214,412 256,408 298,412 342,430 408,446 454,478 472,540"))
    sheet.fill(shoulders, _CLOTH)
    neck = curve(
        [(218, 320), (217, 370), (212, 404), (206, 420), (256, 470), (306, 420), (300, 404), (295, 370), (294, 320)]
    )
    sheet.fill(neck, _SKIN)
    shadow = sheet.copy()
    shadow.fill(oval((256, 330), (66, 66)), _SHADE)
    sheet.within(neck, shadow)
    for side in (1, -1):
        shirt = mirrored(
            curve([(206, 414), (228, 446), (256, 476), (246, 494), (224, 476), (198, 436), (198, 418), (206, 414)]),
            side,
        )
        sheet.fill(shirt, _SHIRT)
        lapel = mirrored(
            curve(
                [
                    (190, 424),
                    (214, 462),
                    (254, 512),
                    (240, 540),
                    (196, 500),
                    (170, 470),
                    (176, 450),
                    (166, 432),
                    (190, 424),
                ]
            ),
            side,
        )
        sheet.fill(lapel, _CLOTH_DARK)


def _head(sheet: Sheet) -> None:
    for side in (1, -1):
        sheet.fill(mirrored(oval((343, 240), (15, 27), 8), side), _SKIN)
        sheet.fill(mirrored(oval((344, 241), (7, 16), 8), side), _SHADE)
    sheet.fill(_FACE, _SKIN)
    lit = sheet.copy()
    lit.soft(
        curve([(352, 150), (322, 220), (320, 290), (286, 340), (256, 372), (380, 380)], closed=True), _SHADE, 0.55, 8
    )
    for side in (1, -1):
        lit.soft(mirrored(oval((311, 283), (20, 14)), side), _BLUSH, 0.42, 7)
    lit.soft(_FRINGE + np.array([3, 8]), _SHADE, 0.8, 3)
    lit.soft(_OTHER_SIDE + np.array([-3, 8]), _SHADE, 0.8, 3)
    sheet.within(_FACE, lit)


def _eye(sheet: Sheet, side: int) -> None:
    upper = [(281, 238), (288, 227), (300, 221), (313, 224), (323, 235)]
    lower = [(323, 235), (316, 245), (302, 249), (289, 246), (281, 238)]
    opening = mirrored(np.concatenate([curve(upper), curve(lower)]), side)
    sheet.fill(opening, (250, 250, 250))
    inside = sheet.copy()
    middle = (256 + side * 46.0, 235.0)
    inside.ellipse(middle, (12.5, 13.5), (58, 92, 64))
    inside.ellipse((middle[0], middle[1] + 3), (10.5, 9.5), (84, 134, 96))
    inside.ellipse(middle, (6, 6.5), (22, 18, 22))
    inside.ellipse((middle[0] + 4, middle[1] - 5), (3.4, 3.4), (255, 255, 255))
    shadow = mirrored(np.concatenate([curve(upper), curve([(323, 241), (302, 229), (281, 243)])]), side)
    inside.soft(shadow, (150, 130, 130), 0.45, 1.2)
    sheet.within(opening, inside)
    sheet.tapered(mirrored(curve([*upper, (330, 231)]), side), _INK, (1.5, 3.6, 4.8, 4.6, 1.2))
    sheet.tapered(mirrored(curve([(319, 243), (303, 250.5), (290, 247.5)]), side), _SHADE, (0.6, 2.0, 0.6))
    sheet.tapered(mirrored(curve([(285, 217), (300, 211), (316, 214)]), side), _SHADE, (0.5, 2.4, 0.5))
    sheet.tapered(
        mirrored(curve([(275, 205), (292, 197), (312, 196), (332, 206)]), side), _HAIR_DARK, (3.0, 6.6, 6.4, 5.0, 1.2)
    )


def _nose(sheet: Sheet) -> None:
    sheet.soft(curve([(258, 240), (268, 278), (276, 290), (258, 296)], closed=True), _SHADE, 0.5, 3)
    sheet.tapered(
        curve([(243, 288), (246, 294), (256, 297), (266, 294), (269, 288)]), (98, 122, 196), (1.2, 2.6, 3.2, 2.6, 1.2)
    )
    sheet.ellipse((252, 282), (3.0, 4.5), (176, 206, 248), 10)


def _mouth(sheet: Sheet) -> None:
    upper = curve([(226, 317), (240, 313), (250, 309.5), (256, 312), (262, 309.5), (272, 313), (286, 317)])
    line = curve([(286, 317), (272, 319.5), (256, 321), (240, 319.5), (226, 317)])
    lower = curve([(286, 317), (276, 329), (264, 333.5), (256, 334), (248, 333.5), (236, 329), (226, 317)])
    sheet.soft(oval((256, 342), (18, 4)), _SHADE, 0.7, 3)
    sheet.fill(np.concatenate([upper, line]), _LIP_UPPER)
    sheet.fill(np.concatenate([line[::-1], lower]), _LIP)
    sheet.ellipse((256, 327.5), (9, 2.2), (138, 136, 226))
    sheet.tapered(
        curve([(221, 314.5), (228, 317.5), (240, 319.5), (256, 321), (272, 319.5), (284, 317.5), (291, 314.5)]),
        _LIP_LINE,
        (0.8, 2.0, 2.2, 2.4, 2.2, 2.0, 0.8),
    )


def _hair_before(sheet: Sheet) -> None:
    for outline in (_OTHER_SIDE, _FRINGE):
        sheet.fill(outline, _HAIR)
    for line in (
        [(282, 104), (236, 128), (190, 158), (158, 206)],
        [(270, 96), (214, 114), (172, 148), (148, 200)],
        [(300, 104), (334, 142), (356, 190), (362, 240)],
    ):
        sheet.tapered(curve(line), _HAIR_LIGHT, (0.6, 3.4, 3.0, 0.6))

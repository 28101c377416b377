"""Line charts as SVG, stacked over one time axis: enough for the pictures in docs/."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, TOP = 900, 56, 20, 48
PANEL, GAP, BOTTOM = 170, 46, 40  # height of a panel, what is between two (its title), and below the last (the axis)
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Line:
    """Points (x, y), joined, or each a dot."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram. `low` and `high` are shown at least; `band` is (low, high, what) of what is allowed."""

    title: str
    lines: Sequence[Line]
    low: float = 0.0
    high: float = 0.0
    band: tuple[float, float, str] | None = None


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from at most `low` to at least `high`, `most` of them or fewer."""
    span = max(high - low, 1e-9)
    magnitude = 10.0 ** math.floor(math.log10(span / most))
    for step in (factor * magnitude for factor in (*_STEPS, *(10 * factor for factor in _STEPS))):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            return [round(number * step, 9) for number in range(first, last + 1)]
    raise AssertionError("a step of a hundred magnitudes is enough for any span")


def draw(title: str, x_name: str, x_high: float, panels: Sequence[Panel]) -> str:
    """The whole picture."""
    height = TOP + len(panels) * (PANEL + GAP) + BOTTOM - GAP // 2
    font = "font-family='system-ui,sans-serif' font-size='13'"
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' {font}>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='{LEFT}' y='24' font-size='17' font-weight='600' fill='#1f2328'>{escape(title)}</text>",
    ]
    across = [tick for tick in ticks(0, x_high, 11) if tick <= x_high]
    for number, panel in enumerate(panels):
        top = TOP + number * (PANEL + GAP) + GAP // 2
        parts += _panel(panel, top, x_high, across)
    bottom = TOP + len(panels) * (PANEL + GAP) - GAP // 2
    for tick in across:
        parts.append(_text(_x(tick, x_high), bottom + 18, f"{tick:g}", anchor="middle"))
    parts.append(_text(WIDTH - RIGHT, bottom + 34, x_name, anchor="end"))
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, top: float, x_high: float, across: list[float]) -> list[str]:
    values = [y for line in panel.lines for _, y in line.points]
    up = ticks(min(panel.low, *values), max(panel.high, *values), 6)
    low, high = up[0], max(up[-1], up[0] + 1e-9)

    def at(y: float) -> float:
        return top + PANEL * (1 - (y - low) / (high - low))

    parts = [_text(LEFT, top - 9, panel.title, weight=600)]
    if panel.band is not None:
        least, most, _ = panel.band
        band = f"y='{at(most):.1f}' width='{WIDTH - LEFT - RIGHT}' height='{at(least) - at(most):.1f}'"
        parts.append(f"<rect x='{LEFT}' {band} fill='#1a7f37' fill-opacity='0.08'/>")
    for tick in up:
        parts.append(_rule(LEFT, at(tick), WIDTH - RIGHT, at(tick)))
        parts.append(_text(LEFT - 8, at(tick) + 4, f"{tick:g}", anchor="end"))
    parts += [_rule(_x(tick, x_high), top, _x(tick, x_high), top + PANEL) for tick in across]
    if panel.band is not None:  # over the grid
        parts.append(_text(LEFT + 6, at(panel.band[0]) - 5, panel.band[2], colour="#1a7f37"))
    legend = float(WIDTH - RIGHT)
    for line, colour in reversed(list(zip(panel.lines, COLOURS, strict=False))):
        legend -= 7.2 * len(line.name)
        parts.append(_text(legend, top - 9, line.name, colour=colour))
        legend -= 20
    for line, colour in reversed(list(zip(panel.lines, COLOURS, strict=False))):
        parts.append(_line(line, [(_x(x, x_high), at(y)) for x, y in line.points], colour))
    return parts


def _line(line: Line, points: list[tuple[float, float]], colour: str) -> str:
    if line.dots:
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
        return f"<path d='{dots}' stroke='{colour}' stroke-width='4' stroke-linecap='round' stroke-opacity='0.55'/>"
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.5'/>"


def _x(value: float, x_high: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / x_high


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='#d8dee4'/>"


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "#57606a", weight: int = 400) -> str:
    look = f"text-anchor='{anchor}' fill='{colour}' font-weight='{weight}' paint-order='stroke' stroke='#ffffff'"
    return f"<text x='{x:.1f}' y='{y:.1f}' {look} stroke-width='4'>{escape(text)}</text>"

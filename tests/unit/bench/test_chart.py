"""Charts: round numbers on the axes, points where they belong."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.bench.chart import Line, Panel, draw, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 30, [0, 5, 10, 15, 20, 25, 30]),
        (-55, 20, [-60, -40, -20, 0, 20]),
        (0, 0.6, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (7, 7, None),
    ],
)
def test_ticks_are_round_and_enclose_what_is_shown(low: float, high: float, expected: list[float] | None) -> None:
    found = ticks(low, high, 8)
    assert expected is None or found == expected
    assert found[0] <= low and found[-1] >= high and len(found) <= 8


def test_a_picture_is_xml_and_its_points_lie_in_their_panel() -> None:
    panel = Panel("of & two", [Line("a", [(0, 0), (5, 10)]), Line("b", [(1, 3)], dots=True)], band=(2, 4, "good"))
    root = ElementTree.fromstring(draw("A <title>", "minutes", 10, [panel, panel]))
    texts = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"A <title>", "of & two", "a", "b", "good", "minutes"} <= texts
    first, second = (e.attrib["points"] for e in root.iter() if e.tag.endswith("polyline"))
    (x0, y0), (x1, y1) = (map(float, point) for point in re.findall(r"([\d.]+),([\d.]+)", first))
    assert x0 < x1 and y0 > y1
    assert re.findall(r",([\d.]+)", second)[0] != str(y0)

"""The lips that are seen go with the phonemes that are heard, through the whole node and WebRTC."""

from __future__ import annotations

import pytest

from tests.bench.lipsync import CLOSURES_ABOVE_CHANCE, GATES, measure
from tests.support.node import Node

pytestmark = pytest.mark.integration

TEXT = (
    "The farmer opened a gate and drove the sheep up the hill. A small boy with a drum walked behind them all morning. "
    "By noon both of them were tired and sat down beneath an apple tree."
)


async def test_lips_open_and_close_with_what_is_heard(node: Node) -> None:
    told, _ = await measure(node.base, "presenter", [TEXT], natural=())
    found = {key.removeprefix("lipsync_").removesuffix(".presenter"): value for key, value in told.items()}
    assert abs(found["offset_ms"]) <= GATES["offset_ms"][1], found
    assert found["corr_jaw"] >= GATES["corr_jaw"][1], found
    assert found["corr_envelope"] >= GATES["corr_envelope"][1], found
    assert found["closures"] >= max(GATES["closures"][1], found["closures_chance"] + CLOSURES_ABOVE_CHANCE), found
    assert found["control"] <= GATES["control"][1], found
    assert found["range"] >= GATES["range"][1] and found["still"] <= GATES["still"][1], found

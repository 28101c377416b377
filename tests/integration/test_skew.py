"""Sound and picture at a receiver that aligns them as a browser does, by the sender's reports."""

from __future__ import annotations

import asyncio
import time

import pytest

from opentalking.types import FRAME_MS
from tests.bench.skew import CLICKS_A_TURN, Click, turn_of_clicks
from tests.support.node import Node
from tests.support.watcher import watching

pytestmark = pytest.mark.integration

STALL_S = 0.2


def apart(clicks: list[Click]) -> list[Click]:
    """Those by more than half a picture; all times are of the media's own clock."""
    return [click for click in clicks if not abs(click.skew_ms) < FRAME_MS / 2]


async def test_every_click_is_seen_when_it_is_heard(node: Node) -> None:
    async with watching(node.base) as client:
        clicks = await turn_of_clicks(client)
        assert len(clicks) > CLICKS_A_TURN / 2
        assert apart(clicks) == []


async def test_a_process_that_stalls_does_not_part_them(node: Node) -> None:
    """The origin of the media clock moves, so both tracks' reports are renewed at once. A click that the stall itself
    meets half-way does come apart, and is left out."""
    rtc = node.processes()["rtc-0"]
    stalls: list[tuple[float, float]] = []

    async def stall_now_and_then() -> None:
        while True:
            await asyncio.sleep(1.1)
            rtc.suspend()
            begun = time.time()
            await asyncio.sleep(STALL_S)
            rtc.resume()
            stalls.append((begun, time.time()))

    async with watching(node.base) as client:
        stalling = asyncio.create_task(stall_now_and_then())
        try:
            clicks = [*await turn_of_clicks(client), *await turn_of_clicks(client)]
        finally:
            stalling.cancel()
            await asyncio.gather(stalling, return_exceptions=True)
            rtc.resume()
        whole = [click for click in clicks if not any(begun - 0.1 < click.at < end + 0.1 for begun, end in stalls)]
        assert len(whole) > CLICKS_A_TURN / 2 and len(stalls) > 4
        assert apart(whole) == []

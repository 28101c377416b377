"""Processes that are killed while a person talks: the page says what happened, connects again by itself and goes on."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser.guest import Guest
from tests.support.node import Node

pytestmark = pytest.mark.browser

LINE = "Good morning."
LONG = (
    "Once upon a time there was a lighthouse keeper who talked to the gulls every evening until the lamp was lit. " * 3
)


@pytest.mark.parametrize("role", ["speech-0", "inference-0", "rtc-0"])
async def test_the_page_goes_on_by_itself_after_a_worker_died_in_mid_speech(
    guest: Guest, node: Node, role: str
) -> None:
    await guest.connect()
    session = await guest.page.evaluate("opentalking.sessionId")
    await guest.say(LONG)
    await guest.until_it_speaks()
    await guest.page.evaluate("window.before = opentalking.pc")
    process = node.processes()[role]
    process.kill()
    await asyncio.to_thread(process.wait)
    await guest.until("opentalking.turns.at(-1).state !== 'speaking'")
    if role == "rtc-0":
        await guest.until("opentalking.pc !== before")
        await guest.watch()
    await guest.state("listening")
    await guest.frames(25)
    assert await guest.page.evaluate("opentalking.sessionId") == session
    await guest.say(LINE)
    await guest.until_it_speaks()
    await guest.until_heard(LINE)
    code, output = await node.cli("status", "--wait", "60")
    assert code == 0, output

"""The voices as a person uses them, on a real node: look, listen, choose in the middle of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Route

from tests.browser.guest import Guest

pytestmark = pytest.mark.browser

WELSH = "[data-voice='espeak:cy']"
SPOKEN_BY = """async (after) => {
    const feed = new EventSource(`sessions/${opentalking.sessionId}/events?last_event_id=0`);
    const found = await new Promise((resolve) => feed.addEventListener("tts", (event) => {
        const data = JSON.parse(event.data);
        if (data.stage === "start" && data.generation > after) resolve(data);
    }));
    feed.close();
    return found;
}"""


@pytest_asyncio.fixture
async def listener(guest: Guest) -> AsyncIterator[Guest]:
    """A guest in a conversation who has the voices before them, and one of them found."""
    await guest.connect()
    await guest.page.click("#voices-open")
    await guest.page.fill("#voices-query", "welsh")
    await guest.page.wait_for_selector(WELSH)
    yield guest


async def speaks(guest: Guest, line: str) -> dict[str, Any]:
    """Who a new turn is spoken by; it is heard to its end."""
    before = await guest.page.evaluate("opentalking.generation")
    await guest.say(line)
    await guest.until_heard(line)
    spoken: dict[str, Any] = await guest.page.evaluate(SPOKEN_BY, before)
    return spoken


async def test_a_voice_chosen_in_a_conversation_speaks_from_the_next_turn_on_and_is_remembered(
    listener: Guest,
) -> None:
    page = listener.page
    stage = "document.getElementById('stage').getBoundingClientRect().toJSON()"
    before = await page.evaluate(stage)
    async with page.expect_response(lambda answer: answer.url.endswith("/voice") and answer.ok):
        await page.click(f"{WELSH} .voice-choice")
    assert await page.get_attribute(f"{WELSH} .voice-choice", "aria-current") == "true"
    assert await page.evaluate(stage) == before  # nothing moved
    await page.keyboard.press("Escape")
    spoken = await speaks(listener, "Bore da.")
    assert (spoken["provider"], spoken["voice"]) == ("espeak", "cy")
    await page.reload()
    await listener.watch()
    assert await page.evaluate("opentalking.speaker") == {"provider": "espeak", "voice": "cy"}
    await page.click("#disconnect")
    await listener.connect()  # another session
    spoken = await speaks(listener, "Bore da.")
    assert (spoken["provider"], spoken["voice"]) == ("espeak", "cy")


async def test_a_preview_is_loaded_played_and_stopped(listener: Guest) -> None:
    page = listener.page
    async with page.expect_request("**/tts/preview") as asked:
        await page.click(f"{WELSH} .voice-hear")
    assert (await asked.value).post_data_json == {
        "text": "1, 2, 3, 4, 5.",
        "tts_provider": "espeak",
        "tts_voice": "cy",
    }
    await listener.until("() => document.getElementById('voices-sound').currentTime > 0.2")
    await page.wait_for_selector(f"{WELSH} .voice-hear[data-state=playing]")
    assert await page.evaluate("opentalking.speaker.provider") == ""  # to hear is not to choose
    await page.click(f"{WELSH} .voice-hear")
    await page.wait_for_selector(f"{WELSH} .voice-hear[data-state=silent]")
    assert await page.evaluate("document.getElementById('voices-sound').paused")


async def test_a_service_that_does_not_answer_is_said_while_the_offline_voice_speaks(listener: Guest) -> None:
    await listener.page.fill("#voices-query", "compatible")
    async with listener.page.expect_response(lambda answer: answer.url.endswith("/voice") and answer.ok):
        await listener.page.click("[data-engine=openai_compatible] .voice-choice")
    await listener.page.click("#voices-close")
    line = "And yet I speak."
    await listener.say(line)
    await listener.until_heard(line)
    said = await listener.page.inner_text("#notice")
    assert said == "The speech server does not answer. The offline voice (Piper) speaks."


async def test_the_voices_are_reached_used_and_left_by_the_keyboard(guest: Guest) -> None:
    page = guest.page
    await page.focus("#voices-open")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-engine=espeak] .voice-row")
    assert await page.evaluate("document.activeElement.id") == "voices-title"
    await page.focus("[data-voice=':'] .voice-choice")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    assert await page.evaluate("opentalking.speaker.provider") == "piper"
    await page.keyboard.press("Escape")
    assert await page.is_hidden("#voices")
    assert await page.evaluate("document.activeElement.id") == "voices-open"


async def test_a_service_that_fails_is_said_in_words_and_never_its_key(listener: Guest) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=502, json={"detail": "401 for key sk-1234", "code": "tts_unauthorized"})

    page = listener.page
    await page.route("**/tts/preview", refuse)
    await page.click(f"{WELSH} .voice-hear")
    await page.wait_for_selector("#voices-trouble:not(:empty)")
    said = await page.inner_text("#voices-trouble")
    assert said.startswith("Welsh: The voice's service does not accept the key.") and "sk-1234" not in said
    assert {text for text in listener.complaints if "502" not in text} == set()
    listener.complaints.clear()

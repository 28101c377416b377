"""A person who speaks: Chromium with a spoken WAV as its microphone, a real node with its defaults behind the page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from opentalking.config import Settings
from tests.browser.guest import Guest
from tests.browser.wav_microphone import WavMicrophone
from tests.support.node import Node
from tests.support.spoken import Voice, cough

pytestmark = pytest.mark.browser

QUESTION = "What is a good way to start the day?"
OBJECTION = "Stop that, and tell me something about the sea."
TALE = (
    "The tide comes in twice a day and goes out twice a day, and between the two the beach belongs to the birds. "
    "They walk along the edge of the water and look for whatever the last wave has left behind in the wet sand. "
) * 4
SENT_TRACK = "opentalking.pc.getSenders()[0].track?.id"
# The level has been up, and then down for longer than any pause in the sentence.
SAID = """() => {
    const level = Number(document.getElementById("meter").style.getPropertyValue("--level"));
    window.wasLoud ||= level > 0.4;
    window.quiet = window.wasLoud && level < 0.1 ? (window.quiet ?? 0) + 1 : 0;
    return window.quiet >= 16;
}"""
STAGES = ["words", "turn", "llm", "sentence", "voice", "face", "sent", "heard", "seen"]


@pytest.fixture(scope="module")
def person(node: Node) -> Iterator[Voice]:
    voice = Voice(Settings(run_dir=str(node.run_dir)))
    yield voice
    asyncio.run(voice.close())


def alike(one: str, other: str) -> bool:
    """At least four of five words."""
    said, wanted = (set(re.findall(r"[a-z']+", text.lower())) for text in (one, other))
    return len(said & wanted) >= 0.8 * len(wanted)


async def allow_the_microphone(guest: Guest) -> None:
    await guest.page.context.grant_permissions(["microphone"])


async def choose(guest: Guest, way: str) -> None:
    await guest.page.locator(f"#voice-mode label:has([value={way}])").click()
    await guest.until("(way) => opentalking.voice === way", way)


async def filled_waterfall(guest: Guest) -> dict[str, float]:
    """Its stages when all but `silence` have figures, ms since the end of speech."""
    await guest.until(
        """(stages) => stages.every((stage) => document.querySelector(`#latency [data-stage=${stage}]`)?.dataset.ms)""",
        STAGES,
    )
    reached = {stage: await guest.page.get_attribute(f"#latency [data-stage={stage}]", "data-ms") for stage in STAGES}
    return {stage: float(ms or -1) for stage, ms in reached.items()}


async def test_what_is_said_into_the_open_microphone_appears_and_is_answered_aloud(
    speaker: Guest, microphone: WavMicrophone, person: Voice
) -> None:
    await allow_the_microphone(speaker)
    microphone.plays(await person.say(QUESTION))
    await speaker.connect()
    await speaker.page.click("#speak")
    await speaker.until("document.getElementById('state').classList.contains('hearing')")
    await speaker.until(
        "opentalking.turns.at(-1)?.state === 'thinking' || opentalking.turns.at(-1)?.state === 'speaking'"
    )
    [turn] = await speaker.turns()
    assert turn["spoken"] and turn["kind"] == "ask" and alike(turn["person"], QUESTION)
    await speaker.until_it_speaks()
    assert turn["person"] in await speaker.page.inner_text(".bubble.person")

    reached = await filled_waterfall(speaker)
    assert reached["words"] <= reached["sentence"] <= reached["voice"] <= reached["face"] <= reached["sent"]
    assert reached["heard"] > reached["sent"]  # nobody hears a sound before it was sent
    assert await speaker.page.inner_text("#latency-zero") == "since you stopped speaking"
    await speaker.until("opentalking.timing.browser_first_sound_ms > 0")

    await speaker.page.click("#speak")
    assert await speaker.page.evaluate(f"[opentalking.voice, {SENT_TRACK}]") == ["off", None]


async def test_what_is_said_while_the_space_bar_is_held_is_answered_and_the_next_press_silences_the_answer(
    speaker: Guest, microphone: WavMicrophone, person: Voice
) -> None:
    await allow_the_microphone(speaker)
    microphone.plays(await person.say(QUESTION), lead_ms=2000)
    await speaker.connect()
    await choose(speaker, "hold")
    await speaker.page.keyboard.down("Space")
    await speaker.page.wait_for_selector("#voice[data-holding=true]")
    assert await speaker.page.evaluate(SENT_TRACK) is None  # the connection has no part in it
    await speaker.until(SAID)
    await speaker.page.keyboard.up("Space")
    await speaker.until("opentalking.turns.at(-1)?.generation > 0")
    [turn] = await speaker.turns()
    assert turn["spoken"] and alike(turn["person"], QUESTION)
    await speaker.until_it_speaks()

    await speaker.page.keyboard.down("Space")
    await speaker.until("opentalking.turns[0].state === 'interrupted'")
    await speaker.page.keyboard.up("Space")
    [turn, *_] = await speaker.turns()
    assert turn["heard"] and turn["heard"] != turn["full"]


async def test_a_cough_pauses_the_avatar_and_a_sentence_stops_it(
    speaker: Guest, microphone: WavMicrophone, person: Voice
) -> None:
    await allow_the_microphone(speaker)
    microphone.plays(cough())
    await speaker.connect()
    await speaker.say(TALE)
    await speaker.until_it_speaks()
    await choose(speaker, "open")
    await speaker.state("paused")
    assert await speaker.page.inner_text("#state-word") == "Paused – listening"
    await speaker.until("opentalking.state === 'paused' && onlooker.sound.quietRun >= 20")  # blocks of 10 ms
    await speaker.state("speaking")
    loud = (await speaker.noticed("sound"))["loud"]
    await speaker.until("(wanted) => onlooker.sound.loud >= wanted", loud + 100)
    turns = [(turn["person"], turn["state"]) for turn in await speaker.turns()]
    assert turns == [(TALE.strip(), "speaking")]

    await choose(speaker, "off")
    microphone.plays(await person.say(OBJECTION))
    await choose(speaker, "open")
    await speaker.state("paused")
    await speaker.until("opentalking.turns[0].state === 'interrupted' && opentalking.turns[1]?.generation > 1")
    told, asked = await speaker.turns()
    assert told["heard"] and TALE.startswith(told["heard"]) and told["heard"] != TALE.strip()
    assert asked["spoken"] and alike(asked["person"], OBJECTION)
    assert await speaker.page.inner_text(".turn .mark") == "Interrupted"
    await speaker.until("opentalking.turns[1].state === 'speaking'")


async def test_without_a_microphone_the_page_says_why_and_with_one_it_follows_every_change_of_it(
    speaker: Guest,
) -> None:
    page = speaker.page
    await speaker.connect()
    await page.click("#speak")
    await speaker.until("document.getElementById('notice').textContent.startsWith('The microphone is blocked.')")
    assert await page.evaluate("opentalking.voice") == "off"
    await allow_the_microphone(speaker)
    await page.click("#speak")
    await speaker.until(SENT_TRACK)
    assert await page.inner_text("#notice") == ""

    first = await page.evaluate(SENT_TRACK)
    await page.select_option("#device", index=2)
    await speaker.until(f"(before) => {SENT_TRACK} && {SENT_TRACK} !== before", first)
    assert await page.input_value("#device") == await page.evaluate(
        "opentalking.pc.getSenders()[0].track.getSettings().deviceId"
    )

    second = await page.evaluate(SENT_TRACK)
    await page.evaluate("opentalking.pc.getSenders()[0].track.dispatchEvent(new Event('ended'))")  # pulled out
    await speaker.until(f"(before) => {SENT_TRACK} && {SENT_TRACK} !== before", second)

    await page.reload()
    await speaker.watch()
    await speaker.until(SENT_TRACK)
    assert await page.evaluate("opentalking.voice") == "open"

    await page.context.clear_permissions()
    await speaker.until("document.getElementById('notice').textContent.startsWith('The microphone is blocked.')")
    assert await page.evaluate(f"[opentalking.voice, {SENT_TRACK}]") == ["off", None]

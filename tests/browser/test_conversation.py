"""A conversation as a person has it: a real node with its defaults, a real browser, eyes on the picture and an ear."""

from __future__ import annotations

import asyncio

import pytest

from tests.browser.guest import Guest
from tests.support.node import Node

pytestmark = pytest.mark.browser

LINE = "Hello there, I am a face. My mouth follows the sound of every word."
LONG_LINE = (
    "The tide comes in twice a day and goes out twice a day, and between the two the beach belongs to the birds, "
    "who walk along the edge of the water and look for whatever the last wave has left behind in the wet sand, "
    "and when the next wave comes they run away from it on quick legs and return as soon as it has gone."
)


async def test_a_click_brings_a_living_picture(guest: Guest) -> None:
    await guest.connect()
    await guest.frames(50)
    assert await guest.noticed("size") == [512, 512]
    assert await guest.noticed("brightness") > 30
    assert await guest.noticed("spread") > 20  # neither black nor any other single colour
    assert (await guest.picture())[100:400].std() > 20
    assert await guest.motion("listening") > 0  # it breathes
    assert await guest.page.inner_text("#state") == "Listening"


async def test_a_line_is_heard_seen_and_read(guest: Guest) -> None:
    await guest.connect()
    await guest.frames(50)
    await guest.say(LINE)
    await guest.until_it_speaks()
    await guest.until_heard(LINE)

    sound = await guest.noticed("sound")
    loudness = (sound["energy"] / sound["samples"]) ** 0.5
    assert 0.02 < loudness < 0.5
    assert sound["fullScale"] < sound["samples"] / 1000 and sound["maxStep"] < 0.5  # neither clipped nor torn
    assert await guest.motion("speaking") > 3 * await guest.motion("listening")

    subtitles = await guest.noticed("subtitles")
    assert " ".join(one["text"] for one in subtitles) == LINE
    heard_before = [one["loudBefore"] for one in subtitles]
    assert heard_before == sorted(set(heard_before))  # each with its own part of the sound, none all at once
    [turn] = await guest.turns()
    assert (turn["person"], turn["heard"], turn["state"]) == (LINE, LINE, "done")
    assert LINE in await guest.page.inner_text(".bubble.avatar")
    assert await guest.page.inner_text("#subtitle-text") == ""


async def test_the_waterfall_of_every_line_is_filled_while_it_is_still_spoken(guest: Guest) -> None:
    await guest.connect()
    await guest.say("A line before.")
    await guest.until_heard("A line before.")
    await guest.say(LONG_LINE)
    await guest.until("opentalking.timing?.generation === 2")
    stages = ["sentence", "voice", "face", "sent", "heard"]
    await guest.until(
        """(stages) => opentalking.state === "speaking" &&
            stages.every((stage) => document.querySelector(`[data-stage=${stage}]`).dataset.ms !== "")""",
        stages,
    )
    reached = [float(await guest.page.get_attribute(f"[data-stage={stage}]", "data-ms") or -1) for stage in stages]
    assert reached == sorted(reached)
    assert reached[-1] > reached[-2]  # nobody hears a sound before it was sent
    assert "to the first sound heard" in await guest.page.inner_text("#latency-total")


async def test_a_question_is_answered_aloud_by_the_language_model(guest: Guest) -> None:
    await guest.connect()
    await guest.ask("Who are you?")
    await guest.state("thinking")
    await guest.until_it_speaks()
    await guest.until("document.querySelector('[data-stage=llm]').dataset.ms !== ''")
    [turn] = await guest.turns()
    assert (turn["kind"], turn["person"]) == ("ask", "Who are you?")
    assert turn["heard"] and turn["heard"][0] in turn["full"]
    await guest.page.keyboard.press("Escape")
    await guest.state("listening")


@pytest.mark.parametrize("way", ["button", "escape"])
async def test_stop_silences_the_avatar_and_the_idle_picture_is_back(guest: Guest, way: str) -> None:
    await guest.connect()
    await guest.frames(25)
    await guest.say(LONG_LINE)
    await guest.until_it_speaks()
    if way == "button":
        await guest.page.click("#stop")
    else:
        await guest.page.keyboard.press("Escape")
    await guest.until("onlooker.states.at(-1) === 'listening'")
    assert (await guest.noticed("states"))[-3:] == ["speaking", "interrupted", "listening"]
    await guest.until("onlooker.sound.quietRun >= 100")  # a second: longer than any pause in this sentence
    loud = (await guest.noticed("sound"))["loud"]
    await guest.page.evaluate("onlooker.motion.length = 0")
    await guest.frames(50)
    assert (await guest.noticed("sound"))["loud"] == loud
    assert await guest.motion("listening") < 2  # the picture goes on, with its mouth at rest
    [turn] = await guest.turns()
    assert turn["state"] == "interrupted"
    assert turn["heard"] and LONG_LINE.startswith(turn["heard"]) and turn["heard"] != LONG_LINE
    assert await guest.page.inner_text(".turn .mark") == "Interrupted"


async def test_a_new_line_takes_the_place_of_the_one_being_spoken(guest: Guest) -> None:
    await guest.connect()
    await guest.say(LONG_LINE)
    await guest.until_it_speaks()
    await guest.say("Now this.")
    await guest.until_heard("Now this.")
    first, second = await guest.turns()
    assert (first["state"], second["state"]) == ("interrupted", "done")


async def test_a_reload_continues_the_same_session(guest: Guest) -> None:
    await guest.connect()
    await guest.say("Before the reload.")
    await guest.until_heard("Before the reload.")
    session = await guest.page.evaluate("opentalking.sessionId")
    await guest.page.reload()
    await guest.watch()
    assert await guest.page.evaluate("opentalking.sessionId") == session
    await guest.until("opentalking.turns.length === 1")
    [turn] = await guest.turns()
    assert (turn["person"], turn["heard"], turn["state"]) == ("Before the reload.", "Before the reload.", "done")
    await guest.say(LINE)
    await guest.until_it_speaks()
    await guest.until_heard(LINE)
    assert len(await guest.turns()) == 2


async def test_a_reload_while_speaking_ends_the_turn_and_says_so(guest: Guest) -> None:
    await guest.connect()
    await guest.say(LONG_LINE)
    await guest.until_it_speaks()
    await guest.page.reload()
    await guest.watch()
    await guest.until("opentalking.turns.at(-1)?.state === 'interrupted' && opentalking.state === 'listening'")
    await guest.say("Here again.")
    await guest.until_heard("Here again.")


async def test_everything_can_be_done_from_the_keyboard(guest: Guest) -> None:
    keyboard = guest.page.keyboard
    focused = "document.activeElement.id || document.activeElement.value"

    async def tab_to(wanted: str, key: str = "Tab") -> None:
        for _ in range(20):
            if await guest.page.evaluate(focused) == wanted:
                return
            await keyboard.press(key)
        raise AssertionError(f"{wanted} is not reached by {key}")

    await tab_to("connect")
    await keyboard.press("Enter")
    await guest.watch()
    await tab_to("ask")
    await keyboard.press("ArrowRight")
    await tab_to("line", "Shift+Tab")
    await keyboard.type(LONG_LINE)
    await keyboard.press("Enter")
    await guest.until_it_speaks()
    await keyboard.press("Escape")
    await guest.state("listening")
    await tab_to("disconnect", "Shift+Tab")
    await keyboard.press("Enter")
    await guest.page.wait_for_selector("body[data-phase=idle]")
    await guest.until(f"({focused}) === 'connect'")


async def test_an_avatar_that_is_not_there_any_more_is_said_in_words(guest: Guest) -> None:
    async def with_a_ghost(route) -> None:  # type: ignore[no-untyped-def]
        listed = await (await route.fetch()).json()
        await route.fulfill(json=[{"id": "ghost", "name": "Ghost"}, *listed])

    await guest.page.route("**/avatars", with_a_ghost)
    await guest.page.reload()
    await guest.page.click("#faces")
    await guest.page.click("[data-avatar=ghost] .face-choice")
    await guest.page.wait_for_selector("body[data-phase=failed]")
    assert await guest.page.inner_text("#message-title") == "This avatar does not exist any more."
    assert await guest.page.inner_text("#connect") == "Try again"
    await guest.page.click("#faces")
    await guest.page.click("[data-avatar=presenter] .face-choice")
    await guest.watch()
    assert {text for text in guest.complaints if "404" not in text} == set()
    guest.complaints.clear()  # its picture and the session that nobody could make


async def test_the_picture_goes_on_while_the_api_restarts_and_then_it_speaks_again(guest: Guest, node: Node) -> None:
    await guest.connect()
    api = node.processes()["api"]
    api.kill()
    await asyncio.to_thread(api.wait)
    await guest.until("async () => (await fetch('/health').catch(() => null))?.ok")
    await guest.frames(25)
    await guest.say(LINE)
    await guest.until_it_speaks()
    await guest.until_heard(LINE)
    assert {text for text in guest.complaints if "Failed to load resource" not in text} == set()
    guest.complaints.clear()  # the requests that found nobody


async def test_a_browser_without_h264_gets_vp8(guest: Guest) -> None:
    await guest.page.add_init_script(
        """const original = RTCPeerConnection.prototype.addTransceiver;
        RTCPeerConnection.prototype.addTransceiver = function (kind, options) {
            const transceiver = original.call(this, kind, options);
            const codecs = RTCRtpReceiver.getCapabilities(kind).codecs;
            transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => mimeType !== "video/H264"));
            return transceiver;
        };"""
    )
    await guest.open()
    await guest.connect()
    await guest.frames(50)
    await guest.say(LINE)
    await guest.until_heard(LINE)
    assert (await guest.received("video"))["mimeType"] == "video/VP8"
    assert await guest.noticed("size") == [512, 512]
    assert await guest.motion("speaking") > 3 * await guest.motion("listening")


async def test_the_received_stream_is_steady(guest: Guest) -> None:
    await guest.connect()
    await guest.say(LINE)
    await guest.until_heard(LINE)
    video, audio = await guest.received("video"), await guest.received("audio")
    assert (video["mimeType"], audio["mimeType"]) == ("video/H264", "audio/opus")
    assert 15 <= video["framesPerSecond"] <= 35
    assert video["framesDropped"] <= video["framesDecoded"] / 20
    assert 1 <= video["keyFramesDecoded"] <= 3 + video["framesDecoded"] / 20
    for stream in (video, audio):
        assert stream["packetsLost"] == 0
        assert stream["jitterBufferEmittedCount"] > 0
        assert stream["jitterBufferDelay"] / stream["jitterBufferEmittedCount"] < 1
    assert audio["totalAudioEnergy"] > 0
    assert audio["concealedSamples"] - audio["silentConcealedSamples"] < audio["totalSamplesReceived"] / 20

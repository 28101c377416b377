"""The modules of the voices panel, in Chromium; the server is played by the test."""

from __future__ import annotations

import io
import json
import wave
from typing import Any

import pytest
from playwright.async_api import Page, Route

pytestmark = pytest.mark.browser

VOICES = [
    {"provider": "piper", "voice_id": "en_US-joe-medium", "display_label": "joe (en_US)", "language": "en_US"},
    *(
        {"provider": "espeak", "voice_id": code, "display_label": label, "language": code}
        for code, label in (
            ("af", "Afrikaans"),
            ("cmn", "Chinese (Mandarin)"),
            ("cy", "Welsh"),
            ("de", "German"),
            ("en-gb", "English (Great Britain)"),
            ("en-us", "English (America)"),
            ("fr-fr", "French (France)"),
            ("sw", "Swahili"),
            ("piqd", "Klingon"),
        )
    ),
    {"provider": "edge", "voice_id": "zh-CN-Xiao", "display_label": "Xiaoxiao", "language": "zh-CN"},
]
ENGINES = {
    "dashscope": {"available": False, "reason": "set OPENTALKING_DASHSCOPE_API_KEY", "any_voice": False},
    "piper": {"available": True, "reason": "", "any_voice": False},
    "espeak": {"available": True, "reason": "", "any_voice": False},
    "edge": {"available": True, "reason": "", "any_voice": True},
    "elevenlabs": {"available": True, "reason": "", "any_voice": True},
}


async def groups(page: Page, query: str = "", language: str = "", **more: Any) -> dict[str, Any]:
    made: list[dict[str, Any]] = await page.evaluate(
        """async ([voices, engines, query, language, whole, current, read]) => {
            const { groups } = await import("/static/voices.js");
            return groups(voices, engines, { query, language, whole: new Set(whole) }, current, read);
        }""",
        [
            VOICES,
            ENGINES,
            query,
            language,
            more.get("whole", []),
            more.get("current", {"provider": "", "voice": ""}),
            more.get("read", ["en-GB"]),
        ],
    )
    return {group["provider"]: group for group in made}


def labels(group: dict[str, Any]) -> list[str]:
    return [row["label"] for row in group["rows"]]


async def test_engines_that_cannot_be_used_come_last_and_say_which_setting_they_want(page: Page) -> None:
    found = await groups(page)
    assert list(found)[-1] == "dashscope"
    assert (found["dashscope"]["usable"], found["dashscope"]["rows"]) == (False, [])
    assert found["dashscope"]["note"] == "Set OPENTALKING_DASHSCOPE_API_KEY in .env, then run again."
    assert [name for name, group in found.items() if group["anyVoice"]] == ["edge", "elevenlabs"]
    assert labels(found["elevenlabs"]) == ["Its own voice"]  # it lists none


async def test_of_many_voices_the_one_in_use_and_the_persons_languages_are_shown_first(page: Page) -> None:
    espeak = (await groups(page, read=["de"], current={"provider": "espeak", "voice": "sw"}))["espeak"]
    assert labels(espeak)[:2] == ["Swahili", "German"]
    assert (len(espeak["rows"]), espeak["hidden"]) == (6, 3)
    whole = (await groups(page, whole=["espeak"]))["espeak"]
    assert (len(whole["rows"]), whole["hidden"]) == (9, 0)


async def test_a_voice_is_found_by_word_and_by_language(page: Page) -> None:
    assert {name: labels(group) for name, group in (await groups(page, "brit")).items()} == {
        "espeak": ["English (Great Britain)"]
    }
    chinese = await groups(page, language="zh")
    assert {name: labels(group) for name, group in chinese.items()} == {
        "espeak": ["Chinese (Mandarin)"],
        "edge": ["Xiaoxiao"],
    }
    assert await groups(page, "nobody at all") == {}
    assert list(await groups(page, "eleven")) == ["elevenlabs"]


async def test_a_row_says_the_language_unless_its_name_does(page: Page) -> None:
    found = await groups(page, whole=["espeak"])
    [joe] = found["piper"]["rows"]
    assert (joe["label"], joe["detail"]) == ("Joe", "American English")
    told = {row["label"]: row["detail"] for row in found["espeak"]["rows"]}
    assert (told["German"], told["Klingon"]) == ("", "piqd")


async def test_languages_are_listed_by_name_the_persons_own_first(page: Page) -> None:
    listed = await page.evaluate(
        """async (voices) => (await import("/static/voices.js")).languages(voices, ["fr"])""", VOICES
    )
    assert listed[0] == {"code": "fr", "name": "French", "count": 1}
    assert {"code": "zh", "name": "Chinese", "count": 2} in listed
    assert [one["name"] for one in listed[1:]] == sorted((one["name"] for one in listed[1:]), key=str.lower)


async def test_a_sample_is_in_the_voices_language_and_counts_where_there_is_no_sentence(page: Page) -> None:
    samples = await page.evaluate(
        """async (all) => { const { sampleFor } = await import("/static/voices.js"); return all.map(sampleFor); }""",
        ["en_US", "", "cmn", "sw"],
    )
    assert samples[0] == samples[1] == "Hello! This is how I sound when I speak."
    assert "你好" in samples[2] and samples[3] == "1, 2, 3, 4, 5."


async def test_a_fallback_is_said_in_words(page: Page) -> None:
    told = {"provider": "elevenlabs", "instead": "piper", "code": "unreachable"}
    words = await page.evaluate("""async (told) => (await import("/static/voices.js")).explainFallback(told)""", told)
    hint = "The offline voice (Piper) speaks."
    assert words == {"title": "ElevenLabs does not answer.", "hint": hint, "mild": True}


def beep(ms: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(b"\0\x10" * (16 * ms))
    return file.getvalue()


AUDITION = """async () => {
    const { Audition } = await import("/static/audition.js");
    window.states = [];
    window.audition = new Audition(document.getElementById("voices-sound"), () => states.push(
        [audition.key, audition.state, audition.failure?.code ?? ""].join(" ").trim()));
    window.hear = (name) => audition.hear(name, { provider: "espeak", voice: name }, "Hello!");
}"""


async def test_one_sample_plays_at_a_time_and_the_one_asked_for_last_is_heard(page: Page) -> None:
    waiting: list[Route] = []

    async def serve(route: Route) -> None:
        body = json.loads(route.request.post_data or "")
        assert body == {"text": "Hello!", "tts_provider": "espeak", "tts_voice": body["tts_voice"]}
        if body["tts_voice"] == "slow":
            waiting.append(route)
        else:
            await route.fulfill(body=beep(60), content_type="audio/wav")

    await page.route("**/tts/preview", serve)
    await page.evaluate(AUDITION)
    await page.evaluate("hear('slow'), hear('de')")
    await page.wait_for_function("states.at(-1) === 'silent'")
    assert await page.evaluate("states") == ["slow loading", "silent", "de loading", "de playing", "silent"]
    await page.evaluate("hear('slow'), hear('slow')")  # the same again: never mind
    assert await page.evaluate("states.slice(5)") == ["slow loading", "silent"]


async def test_a_sample_that_cannot_be_had_says_so_and_the_next_one_can(page: Page) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=502, json={"detail": "wrong key", "code": "tts_unauthorized"})

    await page.route("**/tts/preview", refuse)
    await page.evaluate(AUDITION)
    await page.evaluate("hear('de')")
    assert await page.evaluate("states.at(-1)") == "silent tts_unauthorized"
    await page.unroute("**/tts/preview")
    await page.route("**/tts/preview", lambda route: route.fulfill(body=b"no sound", content_type="audio/wav"))
    await page.evaluate("hear('de')")
    assert await page.evaluate("states.at(-1)") == "silent sound_blocked"


SPEAKER = """async () => {
    const { Speaker } = await import("/static/speaker.js");
    window.refused = [];
    window.speaker = new Speaker(() => {}, (error, id) => refused.push([error.code, id]));
    return speaker.choice;
}"""


async def test_choices_are_told_in_order_a_refused_one_is_taken_back_and_the_last_is_remembered(page: Page) -> None:
    told: list[dict[str, str]] = []

    async def serve(route: Route) -> None:
        told.append(json.loads(route.request.post_data or ""))
        if told[-1].get("tts_voice") == "wrong":
            await route.fulfill(status=400, json={"detail": "no", "code": "unknown_voice"})
        else:
            await route.fulfill(json={"session_id": "s", "status": "ready"})

    await page.route("**/sessions/s/voice", serve)
    assert await page.evaluate(SPEAKER) == {"provider": "", "voice": ""}
    await page.evaluate(
        """Promise.all(["a", "b", "wrong"].map((voice) => speaker.choose({ provider: "edge", voice }, "s")))"""
    )
    assert [one["tts_voice"] for one in told] == ["a", "b", "wrong"]
    assert await page.evaluate("[speaker.choice, refused]") == [
        {"provider": "edge", "voice": "b"},
        [["unknown_voice", "s"]],
    ]
    await page.reload()
    assert await page.evaluate(SPEAKER) == {"provider": "edge", "voice": "b"}
    await page.evaluate("speaker.choose({ provider: '', voice: '' }, null)")
    assert len(told) == 3  # there was no session to tell
    await page.evaluate("localStorage.setItem('opentalking.speaker', '{not json')")
    assert await page.evaluate(SPEAKER) == {"provider": "", "voice": ""}


async def test_of_two_refused_choices_neither_is_kept_but_the_voice_that_was_accepted_last(page: Page) -> None:
    async def serve(route: Route) -> None:
        good = json.loads(route.request.post_data or "").get("tts_voice") == "good"
        refused = {"status": 400, "json": {"detail": "no", "code": "unknown_voice"}}
        await route.fulfill(**{"json": {"session_id": "s", "status": "ready"}} if good else refused)  # type: ignore[arg-type]

    await page.route("**/sessions/s/voice", serve)
    await page.evaluate(SPEAKER)
    choose = """(voices) => Promise.all(voices.map((voice) => speaker.choose({ provider: "edge", voice }, "s")))"""
    await page.evaluate(choose, ["one", "another"])
    assert await page.evaluate("[speaker.choice, refused.length]") == [{"provider": "", "voice": ""}, 2]
    await page.evaluate(choose, ["good", "one", "another"])
    assert await page.evaluate("[speaker.choice, refused.length]") == [{"provider": "edge", "voice": "good"}, 4]
    await page.reload()
    assert await page.evaluate(SPEAKER) == {"provider": "edge", "voice": "good"}


async def test_what_a_session_began_with_holds_when_what_was_chosen_meanwhile_is_refused(page: Page) -> None:
    refused = {"detail": "no", "code": "unknown_voice"}
    await page.route("**/sessions/s/voice", lambda route: route.fulfill(status=400, json=refused))
    await page.evaluate(SPEAKER)
    await page.evaluate("speaker.choose({ provider: 'edge', voice: 'late' }, null)")  # no session answers yet
    await page.evaluate("speaker.tell('s', { provider: 'espeak', voice: 'de' })")
    assert await page.evaluate("speaker.choice") == {"provider": "espeak", "voice": "de"}


async def test_a_language_may_be_written_anyhow(page: Page) -> None:
    voices = [
        {"provider": "mine", "voice_id": "a", "display_label": "Anna (zh(cn)", "language": "zh(cn"},
        {"provider": "mine", "voice_id": "b", "display_label": "bob (d.)", "language": "d."},
        {"provider": "mine", "voice_id": "c", "display_label": "carl (de)", "language": "d."},
    ]
    rows = await page.evaluate(
        """async (voices) => {
            const { groups } = await import("/static/voices.js");
            const filter = { query: "", language: "", whole: new Set() };
            const [mine] = groups(voices, { mine: { available: true } }, filter, { provider: "", voice: "" }, ["en"]);
            return mine.rows.map(({ label }) => label);
        }""",
        voices,
    )
    assert rows == ["Anna", "Bob", "Carl (de)"]


async def test_a_remembered_voice_that_is_gone_does_not_stand_in_the_way_of_a_conversation(page: Page) -> None:
    asked: list[dict[str, str]] = []

    async def serve(route: Route) -> None:
        asked.append(json.loads(route.request.post_data or ""))
        gone = {"status": 400, "json": {"detail": "no key", "code": "tts_unavailable"}}
        await route.fulfill(**gone if "tts_provider" in asked[-1] else {"status": 503, "json": {"code": "at_capacity"}})  # type: ignore[arg-type]

    await page.route("**/sessions", serve)
    words = await page.evaluate(
        """async () => {
            localStorage.setItem("opentalking.speaker", JSON.stringify({ provider: "elevenlabs", voice: "x" }));
            const { Session } = await import("/static/session.js");
            const video = document.getElementById("video");
            const session = new Session({ onChange() {}, onStream() {}, video });
            await session.start("presenter");
            return [session.speaker.choice.provider, session.notice.title, session.words.title];
        }"""
    )
    assert words == ["", "The voice you chose is not available any more.", "Every place is taken."]
    assert asked == [
        {"avatar_id": "presenter", "tts_provider": "elevenlabs", "tts_voice": "x"},
        {"avatar_id": "presenter"},
    ]

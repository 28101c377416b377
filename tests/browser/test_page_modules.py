"""The page's own modules, run where they live: in Chromium, from the files that are served; no server behind them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

pytestmark = pytest.mark.browser

API = Path(__file__).parents[2] / "api"

SPOKEN_TURN = [
    ["speech.started", {"generation": 1, "text": "Who are you?"}],
    ["status", {"generation": 1, "stage": "thinking"}],
    ["llm", {"generation": 1, "delta": "I am **a face**. "}],
    ["llm", {"generation": 1, "delta": "I run here."}],
    ["speech.media_started", {"generation": 1}],
    ["subtitle.chunk", {"generation": 1, "text": "I am a face.", "is_final": False, "fragment": 0}],
]


async def conversation_after(page: Page, events: list[Any]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = await page.evaluate(
        """async (events) => {
            const { Conversation } = await import("/static/conversation.js");
            const conversation = new Conversation();
            for (const [name, data] of events) conversation.apply(name, data);
            return conversation.turns;
        }""",
        events,
    )
    return turns


async def floor_after(page: Page, events: list[Any], first_generation: int = 0) -> dict[str, Any]:
    floor: dict[str, Any] = await page.evaluate(
        """async ([events, first]) => {
            const { Floor } = await import("/static/floor.js");
            const floor = new Floor(() => {});
            floor.reset(first);
            for (const [name, data] of events) floor.apply(name, data);
            return { stage: floor.stage, subtitle: floor.subtitle, generation: floor.generation };
        }""",
        [events, first_generation],
    )
    return floor


async def test_the_heard_text_follows_the_subtitles_and_the_rest_stays_pending(page: Page) -> None:
    [turn] = await conversation_after(page, SPOKEN_TURN)
    assert (turn["person"], turn["kind"], turn["state"]) == ("Who are you?", "ask", "speaking")
    assert turn["heard"] == "I am a face."
    rest = await page.evaluate(
        """async ([full, heard]) => (await import("/static/conversation.js")).unheard(full, heard)""",
        [turn["full"], turn["heard"]],
    )
    assert rest.strip() == "I run here."


async def test_an_interrupted_turn_keeps_only_what_was_heard_and_is_marked(page: Page) -> None:
    ended = ["speech.ended", {"generation": 1, "text": "I am a face.", "interrupted": True}]
    [turn] = await conversation_after(page, [*SPOKEN_TURN, ended])
    assert (turn["heard"], turn["state"]) == ("I am a face.", "interrupted")


async def test_a_new_turn_ends_the_one_before_even_when_its_end_was_never_told(page: Page) -> None:
    turns = await conversation_after(page, [*SPOKEN_TURN, ["speech.started", {"generation": 2, "text": "Wait."}]])
    assert [turn["state"] for turn in turns] == ["interrupted", "thinking"]


async def test_the_line_just_sent_and_the_event_that_tells_of_it_are_one_turn(page: Page) -> None:
    turns = await page.evaluate(
        """async () => {
            const { Conversation } = await import("/static/conversation.js");
            const conversation = new Conversation();
            conversation.sent("ask", "one");
            conversation.sent("say", "two");
            conversation.apply("speech.started", { generation: 2, text: "two" });
            return conversation.turns;
        }"""
    )
    assert [(turn["person"], turn["generation"], turn["state"]) for turn in turns] == [
        ("one", None, "interrupted"),
        ("two", 2, "thinking"),
    ]


async def test_what_was_being_said_when_the_session_ended_is_not_waited_for(page: Page) -> None:
    turns = await page.evaluate(
        """async (events) => {
            const { Conversation } = await import("/static/conversation.js");
            const conversation = new Conversation();
            for (const [name, data] of events) conversation.apply(name, data);
            conversation.over();
            return conversation.turns;
        }""",
        SPOKEN_TURN,
    )
    assert [(turn["heard"], turn["state"]) for turn in turns] == [("I am a face.", "interrupted")]


async def test_a_subtitle_that_comes_after_stop_does_not_bring_speaking_back(page: Page) -> None:
    states = await page.evaluate(
        """async (events) => {
            const { Floor } = await import("/static/floor.js");
            const states = [];
            const floor = new Floor(() => states.at(-1) === floor.stage || states.push(floor.stage));
            for (const [name, data] of events) floor.apply(name, data);
            floor.stopped(2);
            floor.apply("subtitle.chunk", { generation: 1, text: "late", is_final: false });
            return states;
        }""",
        SPOKEN_TURN,
    )
    assert states == ["thinking", "speaking", "interrupted"]


async def test_of_a_long_answer_the_words_being_heard_stay_in_view(page: Page) -> None:
    long = " ".join(f"Sentence number {number} of a long answer." for number in range(60))
    seen = await page.evaluate(
        """async (long) => {
            const { Conversation } = await import("/static/conversation.js");
            const { ConversationView } = await import("/static/view/conversation.js");
            const conversation = new Conversation();
            const view = new ConversationView();
            const inView = [];
            const show = (name, data) => {
                conversation.apply(name, { generation: 1, ...data });
                view.render(conversation.turns);
            };
            show("speech.started", { text: "Tell me more." });
            show("llm", { delta: long });
            for (const text of long.match(/[^.]+[.]/g)) {
                show("subtitle.chunk", { text: text.trim(), is_final: false });
                const at = [...document.querySelector(".heard").getClientRects()].at(-1);
                const log = document.getElementById("log").getBoundingClientRect();
                inView.push(at.top >= log.top && at.bottom <= log.bottom);
            }
            return inView;
        }""",
        long,
    )
    assert len(seen) == 60 and all(seen)


async def test_fragments_are_joined_with_a_space_only_where_the_language_has_one(page: Page) -> None:
    joined = await page.evaluate(
        """async () => {
            const { join } = await import("/static/conversation.js");
            return [join("", "Hello."), join("Hello.", "You."), join("Hello. ", "You."), join("你好。", "世界！")];
        }"""
    )
    assert joined == ["Hello.", "Hello. You.", "Hello. You.", "你好。世界！"]


async def test_the_subtitle_is_there_while_its_sound_is_and_gone_at_the_end(page: Page) -> None:
    assert await floor_after(page, SPOKEN_TURN) == {"stage": "speaking", "subtitle": "I am a face.", "generation": 1}
    ended = ["speech.ended", {"generation": 1, "text": "I am a face.", "interrupted": False}]
    assert await floor_after(page, [*SPOKEN_TURN, ended]) == {"stage": "listening", "subtitle": "", "generation": 1}


async def test_a_long_subtitle_comes_in_pages_of_two_lines_that_leave_out_no_word(page: Page) -> None:
    texts = [
        "Hello there.",
        "I am thrilled to have you here tonight to support our mission: that all people are treated with dignity.",
        "今天天气很好，我们一起去公园散步吧，然后在湖边坐一会儿，看看那些在水面上慢慢游来游去的鸭子和天鹅，再回家吃晚饭。",
        "",
    ]
    for text in texts:
        cut, widths = await page.evaluate(
            """async (text) => {
                const { columns, pages } = await import("/static/subtitle.js");
                return [pages(text), pages(text).map(columns)];
            }""",
            text,
        )
        assert "".join(cut).replace(" ", "") == text.replace(" ", "")
        assert all(width <= 88 for width in widths)
        assert len(cut) == (2 if len(text) > 40 else 1)
    short, long = await page.evaluate(
        """async (texts) => {
            const { schedule } = await import("/static/subtitle.js");
            return texts.map((text) => schedule(text, 6000).map(({ atMs }) => atMs));
        }""",
        texts[:2],
    )
    assert short == [0]
    assert long[0] == 0 and 2400 < long[1] < 3600


async def test_late_news_of_an_older_generation_changes_nothing(page: Page) -> None:
    late = [
        ["speech.started", {"generation": 2, "text": "Wait."}],
        ["subtitle.chunk", {"generation": 1, "text": "old", "is_final": True}],
        ["speech.ended", {"generation": 1, "text": "old", "interrupted": True}],
    ]
    assert await floor_after(page, [*SPOKEN_TURN, *late]) == {"stage": "thinking", "subtitle": "", "generation": 2}


async def test_an_error_stays_readable_when_the_turn_is_then_ended_for_everybody(page: Page) -> None:
    failed = [
        ["error", {"generation": 1, "code": "TTS_FAILED", "message": "no voice"}],
        ["speech.ended", {"generation": 1, "text": "I am a face.", "interrupted": True}],
        ["status", {"generation": 1, "stage": "interrupted"}],
    ]
    assert (await floor_after(page, [*SPOKEN_TURN, *failed]))["stage"] == "error"
    [turn] = await conversation_after(page, [*SPOKEN_TURN, *failed])
    assert (turn["state"], turn["heard"], turn["error"]["title"]) == ("failed", "I am a face.", "The voice failed.")


async def test_a_trouble_that_is_not_the_turn_s_leaves_it_speaking(page: Page) -> None:
    trouble = ["error", {"code": "STT_FAILED", "message": "no recogniser"}]
    assert (await floor_after(page, [*SPOKEN_TURN, trouble]))["stage"] == "speaking"
    partial = ["transcript", {"text": "What", "is_final": False}]
    [turn] = await conversation_after(page, [*SPOKEN_TURN, partial, trouble])
    assert turn["state"] == "speaking"


async def test_replayed_history_moves_neither_the_state_nor_the_subtitle(page: Page) -> None:
    assert await floor_after(page, SPOKEN_TURN, first_generation=2) == {
        "stage": "listening",
        "subtitle": "",
        "generation": 2,
    }


async def test_the_waterfall_has_no_gap_and_skips_a_stage_that_was_not_used(page: Page) -> None:
    timing = {"first_fragment_ms": 4, "tts_first_pcm_ms": 90, "first_av_ms": 110, "first_rtp_ms": 130}
    rows = await page.evaluate(
        """async (timing) => (await import("/static/waterfall.js")).rows(timing, { heardMs: 250, seenMs: null })""",
        timing,
    )
    assert [row["stage"] for row in rows] == ["llm", "sentence", "voice", "face", "sent", "heard"]
    assert rows[0]["endMs"] is None
    assert [(row["startMs"], row["endMs"]) for row in rows[1:]] == [(0, 4), (4, 90), (90, 110), (110, 130), (130, 250)]


async def test_a_spoken_turn_is_shown_from_the_end_of_speech_with_what_was_done_ahead_taking_no_time(
    page: Page,
) -> None:
    timing = {
        "speech_ended_at": 1000.0,
        "vad_decision_ms": 96,
        "llm_first_token_ms": 380,
        "stt_final_ms": 390,
        "turn_committed_ms": 420,
        "first_fragment_ms": 600,
        "tts_first_pcm_ms": 680,
        "first_av_ms": 730,
        "first_rtp_ms": 800,
        "browser_first_sound_ms": 880,
    }
    rows = await page.evaluate(
        """async (timing) => (await import("/static/waterfall.js")).rows(timing, { heardMs: null, seenMs: 910 })""",
        timing,
    )
    assert [(row["stage"], row["startMs"], row["endMs"]) for row in rows] == [
        ("silence", 0, 96),
        ("words", 96, 390),
        ("turn", 390, 420),
        ("llm", 380, 380),
        ("sentence", 420, 600),
        ("voice", 600, 680),
        ("face", 680, 730),
        ("sent", 730, 800),
        ("heard", 800, 880),
        ("seen", 880, 910),
    ]


async def test_a_spoken_line_grows_and_becomes_the_line_of_its_turn_once(page: Page) -> None:
    said = [
        ["transcript", {"text": "What is", "is_final": False}],
        ["transcript", {"text": "What is the tide", "is_final": False}],
    ]
    [line] = await conversation_after(page, said)
    assert (line["person"], line["state"], line["spoken"]) == ("What is the tide", "hearing", True)
    said += [["transcript", {"text": "What is the time?", "is_final": True}]]
    [line] = await conversation_after(page, said)
    assert (line["person"], line["state"]) == ("What is the time?", "sending")
    said += [["speech.started", {"generation": 1, "kind": "chat", "text": "What is the time?"}]]
    [turn] = await conversation_after(page, said)
    assert (turn["person"], turn["generation"], turn["state"]) == ("What is the time?", 1, "thinking")


async def test_words_that_were_none_leave_no_line(page: Page) -> None:
    partial = ["transcript", {"text": "Uh", "is_final": False}]
    for nothing in (
        ["speech.resumed", {"generation": 1, "reason": "backchannel"}],
        ["transcript", {"text": "", "is_final": True}],
        ["listening", {"state": "off"}],
    ):
        assert len(await conversation_after(page, [*SPOKEN_TURN, partial])) == 2
        assert len(await conversation_after(page, [*SPOKEN_TURN, partial, nothing])) == 1


async def test_a_turn_that_holds_still_is_paused_and_speaks_on(page: Page) -> None:
    paused = ["speech.paused", {"generation": 1, "at": 1.0}]
    assert await floor_after(page, [*SPOKEN_TURN, paused]) == {
        "stage": "paused",
        "subtitle": "I am a face.",
        "generation": 1,
    }
    resumed = ["speech.resumed", {"generation": 1, "reason": "cough"}]
    assert (await floor_after(page, [*SPOKEN_TURN, paused, resumed]))["stage"] == "speaking"
    interrupted = ["speech.interrupted", {"generation": 1, "reason": "barge_in"}]
    assert (await floor_after(page, [*SPOKEN_TURN, paused, interrupted]))["stage"] == "interrupted"


async def test_while_the_sound_holds_still_no_page_of_the_subtitle_is_turned(page: Page) -> None:
    long = "I am thrilled to have you here tonight to support our mission: that all people are treated with dignity."
    while_held, at_last = await page.evaluate(
        """async ([events, long]) => {
            const { Floor } = await import("/static/floor.js");
            const speaking = () => {
                let turned = () => {};
                const secondPage = new Promise((resolve) => (turned = resolve));
                const floor = new Floor(() => floor.subtitle.endsWith("dignity.") && turned());
                for (const [name, data] of events) floor.apply(name, data);
                floor.apply("subtitle.chunk", { generation: 1, text: long, duration_ms: 100 });
                return { floor, secondPage };
            };
            const held = speaking();
            held.floor.apply("speech.paused", { generation: 1 });
            await speaking().secondPage; // the same in another, whose sound went on
            const whileHeld = held.floor.subtitle;
            held.floor.apply("speech.resumed", { generation: 1 });
            await held.secondPage;
            return [whileHeld, held.floor.subtitle];
        }""",
        [SPOKEN_TURN, long],
    )
    assert long.startswith(while_held) and long.endswith(at_last) and while_held != at_last


async def test_sound_is_brought_to_16_khz_without_seams_and_without_what_does_not_fit(page: Page) -> None:
    kept, removed, count = await page.evaluate(
        """async () => {
            const { Resampler } = await import("/static/resample.js");
            const rate = 44100;
            const sine = (hertz, i, rate) => Math.sin((2 * Math.PI * hertz * i) / rate);
            const tone = (hertz) => Float32Array.from({ length: rate }, (_, i) => sine(hertz, i, rate));
            const through = (samples) => {
                const resampler = new Resampler(rate, 16000);
                const out = [];
                for (let at = 0; at < samples.length; at += 128)
                    out.push(...resampler.push(samples.subarray(at, at + 128)));
                return out;
            };
            const spoken = through(tone(440));
            let worst = 0;
            for (let i = 100; i < spoken.length - 100; i += 1)
                worst = Math.max(worst, Math.abs(spoken[i] - sine(440, i, 16000)));
            const hiss = through(tone(12000)).slice(100, -100);
            return [worst, Math.max(...hiss.map(Math.abs)), spoken.length];
        }"""
    )
    assert kept < 0.01
    assert removed < 0.01
    assert 15_980 <= count <= 16_000


async def test_the_level_is_even_in_decibels(page: Page) -> None:
    levels = await page.evaluate(
        """async () => {
            const { levelOf } = await import("/static/capture.js");
            return [0, 0.002, 0.02, 0.2, 1].map((amplitude) => levelOf(new Float32Array(64).fill(amplitude)));
        }"""
    )
    assert levels[0] == 0 and levels[-1] == 1
    assert levels[2] - levels[1] == pytest.approx(levels[3] - levels[2], abs=0.01)


async def test_the_first_picture_of_a_turn_is_found_across_the_wrap_of_its_time_stamps(page: Page) -> None:
    found = await page.evaluate(
        """async () => {
            const { firstFrom } = await import("/static/frames.js");
            const frames = [4294960096, 4294963696, 0, 3600].map((timestamp, atMs) => ({ timestamp, atMs }));
            const firsts = [4294963696, 4294963000, 4294965000, 3600, 7200];
            return firsts.map((first) => firstFrom(frames, first)?.atMs ?? null);
        }"""
    )
    assert found == [1, 1, 2, 3, None]


async def test_the_server_s_clock_is_read_by_its_quickest_answer(page: Page) -> None:
    told = await page.evaluate(
        """async () => {
            const { ServerClock } = await import("/static/clock.js");
            const ways = [[40, 10], [300, 0], [2, 4], [90, 0], [5, 60]]; // ms there and back; the third is quickest
            let here = 1000;
            const clock = new ServerClock(async () => {
                const [there, back] = ways.shift();
                const now = (here + there) / 1000 + 5000; // 5000 s ahead of this page
                here += there + back;
                return { now };
            }, () => here);
            return clock.at(2000);
        }"""
    )
    assert told == pytest.approx(5002 - 0.001, abs=1e-6)  # off by half of what the two ways differ


async def test_why_there_is_no_microphone_is_said_in_words(page: Page) -> None:
    failures = {
        "NotAllowedError: Permission denied": "The microphone is blocked.",
        "NotAllowedError: Permission dismissed": "The browser's question about the microphone was closed.",
        "NotAllowedError: Permission denied by system": "Your computer does not let the browser use the microphone.",
        "NotFoundError: Requested device not found": "No microphone was found.",
        "NotReadableError: Could not start audio source": "The microphone cannot be read.",
        "TypeError: something else": "The microphone could not be opened.",
    }
    titles = await page.evaluate(
        """async (failures) => {
            const { codeOf } = await import("/static/microphone.js");
            const { explain } = await import("/static/words.js");
            return failures.map((failure) => {
                const [name, message] = failure.split(": ");
                return explain({ code: codeOf({ name, message }) }).title;
            });
        }""",
        list(failures),
    )
    assert titles == list(failures.values())


async def test_stream_ids_are_ordered_by_time_then_sequence_not_as_text(page: Page) -> None:
    pairs = [["0", "1-0"], ["9-0", "10-0"], ["10-2", "10-10"], ["10-2", "10-2"], ["10-3", "10-2"], ["11-0", "10-9"]]
    told = await page.evaluate(
        """async (pairs) => {
            const { notAfter } = await import("/static/events.js");
            return pairs.map(([a, b]) => notAfter(a, b));
        }""",
        pairs,
    )
    assert told == [True, True, True, True, False, False]


async def test_every_error_code_that_a_person_can_meet_has_words(page: Page) -> None:
    wrong_request = {
        "invalid_field",
        "invalid_json",
        "invalid_sdp",
        "invalid_event_id",
        "unsupported_media_type",
        "not_found",
    }
    sources = "\n".join(path.read_text() for path in API.rglob("*.py"))
    codes = sorted(set(re.findall(r'ApiError\(\s*\d{3},\s*"([a-z_]+)"', sources)) - wrong_request)
    titles = await page.evaluate(
        """async (codes) => {
            const { explain } = await import("/static/words.js");
            return codes.map((code) => explain({ code }).title);
        }""",
        codes,
    )
    missing = [code for code, title in zip(codes, titles, strict=True) if title == "Something went wrong."]
    assert codes and not missing, f"api/static/words.js has no words for {missing}"


async def test_why_a_turn_failed_is_said_where_it_is_known(page: Page) -> None:
    told = [("LLM_FAILED", reason) for reason in ("rate_limited", "max_tokens", "too_long", "failed", None)]
    titles = await page.evaluate(
        """async (told) => {
            const { explain } = await import("/static/words.js");
            return told.map(([code, reason]) => explain({ code, reason }).title);
        }""",
        [*told, ("TTS_FAILED", "timeout")],
    )
    assert titles == [
        "The language model's service takes no more requests just now.",
        "The language model thought, and had no tokens left to answer.",
        "That is too long for the language model.",
        "The language model gave no answer.",
        "The language model gave no answer.",
        "The voice did not answer in time.",
    ]


async def test_a_server_that_does_not_answer_is_said_in_words_with_a_way_on(page: Page) -> None:
    await page.route("**/health", lambda route: route.abort())
    await page.reload()
    await page.wait_for_selector("body[data-phase=failed]")
    assert await page.inner_text("#message-title") == "The server does not answer."
    assert "opentalking status" in await page.inner_text("#message-hint")
    assert await page.inner_text("#connect") == "Try again"
    assert await page.get_attribute("#state", "data-state") == "error"


async def test_on_a_phone_nothing_is_cut_off_and_the_message_box_stays_above_the_keyboard(page: Page) -> None:
    for height in (844, 470):
        await page.set_viewport_size({"width": 390, "height": height})
        await page.wait_for_function(
            "(height) => document.documentElement.style.getPropertyValue('--viewport-height') === `${height}px`",
            arg=height,
        )
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        row = "document.getElementById('voice')"
        assert await page.evaluate(f"{row}.scrollWidth <= {row}.clientWidth")
        box = await page.locator("#composer").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] <= height


async def test_the_keyboard_reaches_every_control_and_shows_where_it_is(page: Page) -> None:
    await page.wait_for_selector("body:not(.loading)")
    seen: dict[str, str] = {}
    for _ in range(14):
        await page.keyboard.press("Tab")
        name, outline = await page.evaluate(
            """() => {
                const at = document.activeElement;
                const radio = at.name === "mode" || at.name === "voice";
                const shown = radio ? at.nextElementSibling : at.id === "line" ? at.form : at;
                const style = getComputedStyle(shown);
                const ring = style.outlineStyle !== "none" || (at.id === "line" && style.boxShadow !== "none");
                return [at.id || at.name || at.className || at.tagName, ring ? "ring" : "none"];
            }"""
        )
        seen[name] = outline
    assert {"connect", "log", "speak", "voice", "line", "mode"} <= seen.keys()
    assert "none" not in {ring for name, ring in seen.items() if name != "BODY"}, seen

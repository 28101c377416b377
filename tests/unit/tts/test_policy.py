"""When a voice fails: what is heard then, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter, TTSCode, TTSError, Voice
from opentalking.tts.policy import TurnVoice, VoiceChain, Wanted
from opentalking.types import AudioChunk, Int16

RATE = 24_000
CHUNK = RATE // 5
TEXT = "one two three four five six seven eight nine ten"
SETTINGS = Settings(tts_fallback="second", tts_first_pcm_timeout_s=0.05, tts_stall_timeout_s=0.05, tts_rest_s=30.0)


SOUND_S = {"drip": 0.001, "slow": 0.05, "nothing": 0.0, "nothing, at once": 0.0}


class Scripted:
    """An engine that does as it is told: each request takes the next script, an error in it is raised at its place.

    The n-th chunk of any request is n + 1 times 1000, so that what is heard tells what was skipped."""

    def __init__(self, provider: str, *scripts: list[TTSError | str], rate: int = RATE) -> None:
        self.provider, self.rate = provider, rate
        self.scripts = list(scripts)
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.open = 0
        self.sample_rates = (rate,)
        self.any_voice = False

    async def warmup(self) -> None:
        """Nothing to load."""

    def voices(self) -> list[Voice]:
        return []

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        self.asked.append((text, voice, model))
        script = self.scripts.pop(0) if self.scripts else ["."] * 4
        self.open += 1
        try:
            for number, step in enumerate(script, 1):
                if isinstance(step, TTSError):
                    raise step
                if step == "stall":
                    await asyncio.Event().wait()
                if step in ("drip", "nothing", "slow"):
                    await asyncio.sleep({"drip": 0.02, "nothing": 0.01, "slow": 0.1}[step])
                if step in SOUND_S:
                    yield AudioChunk(np.full(int(self.rate * SOUND_S[step]), 1000, np.int16), self.rate)
                    continue
                yield AudioChunk(np.full(self.rate // 5, 1000 * min(number, 30), np.int16), self.rate)
        finally:
            self.open -= 1

    async def aclose(self) -> None:
        """Nothing to let go of."""


class Room:
    """A chain of scripted engines, and what a turn of it told."""

    def __init__(self, *engines: Scripted, settings: Settings = SETTINGS) -> None:
        self.engines = {engine.provider: engine for engine in engines}
        self.never_ready: set[str] = set()
        self.now = 0.0
        self.failing: dict[str, Exception] = {}
        self.hanging: set[str] = set()
        self.told: list[dict[str, Any]] = []
        self.chain = VoiceChain(settings, self._load, engines[0].provider, clock=lambda: self.now)

    async def _load(self, name: str) -> TTSAdapter:
        if name in self.failing:
            raise self.failing[name]
        if name in self.hanging:
            await asyncio.Event().wait()
        if name not in self.engines:
            raise TTSError(f"{name} is not installed")
        return self.engines[name]

    def turn(self, provider: str = "first", voice: str = "", model: str = "") -> TurnVoice:
        return TurnVoice(self.chain, Wanted(provider, voice, model), lambda event, data: self.told.append(data))

    @property
    def stages(self) -> list[tuple[str, str]]:
        return [(data["stage"], data["code"]) for data in self.told]


async def heard(turn: TurnVoice, text: str = TEXT) -> Int16:
    chunks = [chunk async for chunk in turn.speak(text)]
    assert len({chunk.sample_rate for chunk in chunks}) == 1
    return np.concatenate([chunk.data for chunk in chunks])


def levels(pcm: Int16) -> list[int]:
    """The values that are held for long, in order: ramps and joins are not."""
    edges = np.flatnonzero(np.diff(pcm, prepend=0, append=0) != 0)
    return [int(pcm[start]) for start, end in pairwise(edges) if end - start > CHUNK // 4]


def failure(code: TTSCode, retry_after_s: float | None = None) -> TTSError:
    return TTSError("it failed", code, retry_after_s)


async def test_an_engine_that_works_is_asked_once_for_all_that_was_wanted() -> None:
    room = Room(Scripted("first"), Scripted("second"))
    assert levels(await heard(room.turn(voice="anna", model="large"))) == [1000, 2000, 3000, 4000]
    assert room.engines["first"].asked == [(TEXT, "anna", "large")] and not room.told
    assert not room.engines["second"].asked


@pytest.mark.parametrize("code", ["unreachable", "failed", "broken", "rate_limited"])
async def test_what_may_pass_is_asked_once_more(code: TTSCode) -> None:
    room = Room(Scripted("first", [failure(code)]), Scripted("second"))
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert len(room.engines["first"].asked) == 2
    assert room.stages == [("retry", code)]


async def test_what_was_heard_is_not_said_again_by_the_second_attempt() -> None:
    first = Scripted("first", [".", ".", failure("unreachable")])
    room = Room(first, Scripted("second"))
    pcm = await heard(room.turn())
    assert levels(pcm) == [1000, 2000, 3000, 4000]
    assert len(first.asked) == 2 and first.asked[0] == first.asked[1]
    assert abs(len(pcm) - 4 * CHUNK) <= RATE // 100  # the join, and no more


@pytest.mark.parametrize("code", ["unauthorized", "bad_request"])
async def test_what_will_not_pass_goes_to_the_next_engine_at_once(code: TTSCode) -> None:
    room = Room(Scripted("first", [failure(code)]), Scripted("second"))
    assert levels(await heard(room.turn(voice="anna"))) == [1000, 2000, 3000, 4000]
    assert len(room.engines["first"].asked) == 1
    assert room.engines["second"].asked == [(TEXT, None, None)]  # a voice is one engine's own
    assert room.stages == [("fallback", code)]
    assert (room.told[0]["provider"], room.told[0]["instead"]) == ("first", "second")


async def test_the_next_engine_says_only_what_is_left_and_stays_for_the_turn() -> None:
    first = Scripted("first", [*"." * 5, failure("failed")], [failure("failed")])
    room = Room(first, Scripted("second", rate=16_000))
    turn = room.turn()
    pcm = await heard(turn)
    (said,) = room.engines["second"].asked
    assert TEXT.endswith(said[0]) and said[0].startswith("five")  # a second of sixteen letters was heard
    assert len(pcm) > 8.9 * CHUNK
    await heard(turn, "And more.")
    assert len(first.asked) == 2 and room.engines["second"].asked[-1][0] == "And more."


async def test_where_one_sound_takes_over_from_another_there_is_no_click() -> None:
    first = Scripted("first", [*"." * 9, failure("failed")], [failure("failed")])
    room = Room(first, Scripted("second"))
    pcm = (await heard(room.turn())).astype(int)
    marks = np.flatnonzero(np.diff(pcm) != 0)
    steps = np.abs(np.diff(pcm))[marks[marks > 9 * CHUNK - 10]]
    assert steps[:-3].max() < 200  # of 9000: the rest are the engines' own steps of a thousand


async def test_an_engine_without_sound_is_not_waited_for() -> None:
    room = Room(Scripted("first", ["stall"], ["stall"]), Scripted("second"))
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.stages == [("retry", "timeout"), ("fallback", "timeout")]
    assert room.told[0]["message"] == "first gave no sound for 0.05 s"
    assert room.engines["first"].open == 0


async def test_one_that_stalls_in_the_middle_is_given_up_there() -> None:
    room = Room(Scripted("first", [".", "stall"]), Scripted("second"))
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.told[0]["message"] == "first stopped in the middle of a sentence for 0.05 s"


async def test_a_service_that_asks_to_wait_gets_a_moment_but_not_a_minute() -> None:
    for wait_s, stages in ((0.01, [("retry", "rate_limited")]), (60.0, [("fallback", "rate_limited")])):
        room = Room(Scripted("first", [failure("rate_limited", wait_s)]), Scripted("second"))
        await heard(room.turn())
        assert room.stages == stages


@pytest.mark.parametrize(("asked_s", "rests_s"), [(None, 30), (60.0, 60), (5.0, 30), (float("inf"), 300)])
async def test_an_engine_rests_as_long_as_it_asked_for_but_not_for_ever(asked_s: float | None, rests_s: float) -> None:
    first = Scripted("first", [failure("rate_limited", asked_s)], [failure("rate_limited", asked_s)])
    room = Room(first, Scripted("second"))
    await heard(room.turn())
    asked = len(first.asked)
    room.now = rests_s - 1
    await heard(room.turn())
    assert len(first.asked) == asked
    room.now = rests_s + 1
    await heard(room.turn())
    assert len(first.asked) == asked + 1


async def test_an_engine_that_failed_rests_and_is_then_asked_again() -> None:
    first = Scripted("first", [failure("unreachable")], [failure("unreachable")])
    room = Room(first, Scripted("second"))
    await heard(room.turn())
    await heard(room.turn())
    assert len(first.asked) == 2 and room.stages[-1] == ("fallback", "failed")
    room.now = 31.0
    room.told.clear()
    await heard(room.turn())
    assert len(first.asked) == 3 and not room.told


async def test_a_voice_that_one_turn_misspelt_does_not_make_the_engine_rest() -> None:
    first = Scripted("first", [failure("bad_request")])
    room = Room(first, Scripted("second"))
    await heard(room.turn(voice="nobody"))
    await heard(room.turn())
    assert len(first.asked) == 2


async def test_when_no_engine_is_left_the_last_failure_is_raised() -> None:
    settings = Settings(tts_fallback="")
    room = Room(Scripted("first", [failure("unauthorized")]), settings=settings)
    with pytest.raises(TTSError, match="espeak is not installed"):
        await heard(room.turn())
    assert [data["instead"] for data in room.told] == ["piper", "espeak"]


async def test_sound_without_end_is_cut_and_the_engine_let_go() -> None:
    endless = Scripted("first", ["."] * 10_000)
    room = Room(endless, Scripted("second"))
    pcm = await heard(room.turn(), "Short.")
    assert 10 * RATE < len(pcm) < 15 * RATE
    assert endless.open == 0 and not room.told


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_a_turn_that_is_aborted_leaves_no_request_open(how: str) -> None:
    room = Room(Scripted("first", [".", "stall"]), Scripted("second"), settings=Settings())
    async with aclosing(room.turn().speak(TEXT)) as chunks:
        await anext(chunks)
        if how == "cancel":
            waiting = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
    assert room.engines["first"].open == 0


async def test_engines_are_brought_to_one_loudness_and_each_keeps_its_own_gain() -> None:
    steady = [".", ".", ".", ".", ".", "."]
    first = Scripted("first", *[steady] * 9, [".", ".", ".", failure("bad_request")])
    room = Room(first, Scripted("second"), settings=Settings(tts_fallback="second", tts_loudness_db=-26.0))
    turn = room.turn()
    before = [levels(await heard(turn)) for _ in range(9)]
    assert before[0] == [1000, 2000, 3000, 4000, 5000, 6000]
    assert before[-1] == pytest.approx([level * 0.465 for level in before[0]], rel=0.03)  # -18.5 dBFS, towards -26
    one_sound = levels(await heard(turn))
    assert one_sound[:3] == pytest.approx(before[-1][:3], rel=0.03)
    assert one_sound[3:] == [1000, 2000, 3000, 4000]


SECRET = "https://api.x/v1?key=sk-PLUGINS"


class Failing(Scripted):
    """It raises what no engine should, with a secret in its words."""

    def __init__(self, *where: str) -> None:
        super().__init__("first")
        self.where = where

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        if "call" in self.where:
            raise KeyError(SECRET)
        return self._failing(text)

    async def _failing(self, text: str) -> AsyncGenerator[AudioChunk, None]:
        self.asked.append((text, None, None))
        if "sound" in self.where:
            yield AudioChunk(np.full(CHUNK, 1000, np.int16), RATE)
        raise RuntimeError(SECRET)


@pytest.mark.parametrize("where", ["call", "begin", "sound"])
async def test_whatever_an_engine_raises_it_is_asked_again_and_then_stood_in_for(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(Failing(where), Scripted("second"))
    assert levels(await heard(room.turn()))[-4:] == [1000, 2000, 3000, 4000]
    assert room.stages == [("retry", "failed"), ("fallback", "failed")]
    kind = "KeyError" if where == "call" else "RuntimeError"
    assert room.told[0]["message"] == f"first failed: {kind}"
    assert kind in caplog.text and "test_policy.py" in caplog.text  # whose plug-in it is can look where it was
    assert "PLUGINS" not in caplog.text + repr(room.told)


async def test_an_engine_that_cannot_be_loaded_for_any_reason_is_stood_in_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room(Scripted("first"), Scripted("second"))
    room.failing["first"] = ValueError(SECRET)
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.stages == [("fallback", "failed")] and room.told[0]["message"] == "first failed: ValueError"
    assert "PLUGINS" not in caplog.text


async def test_an_engine_that_never_gets_ready_is_not_waited_for() -> None:
    room = Room(Scripted("first"), Scripted("second"))
    room.hanging.add("first")
    async with asyncio.timeout(60):
        assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.stages == [("fallback", "timeout")]
    assert room.told[0]["message"] == "first was not ready within 0.05 s"


DRIPPING = Settings(tts_fallback="second", tts_first_pcm_timeout_s=0.3, tts_stall_timeout_s=0.3)


@pytest.mark.parametrize("step", ["drip", "nothing", "nothing, at once"])
async def test_what_drips_far_slower_than_speech_or_gives_only_empty_chunks_is_given_up(step: str) -> None:
    room = Room(Scripted("first", *[[step] * 100_000] * 2), Scripted("second"), settings=DRIPPING)
    async with asyncio.timeout(60):
        assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.stages == [("retry", "timeout"), ("fallback", "timeout")]
    why = "is slower than 0.25 of real time" if step == "drip" else "gave no sound for 0.3 s"
    assert room.told[-1]["message"] == f"first {why}"
    assert room.engines["first"].open == 0


async def test_an_engine_of_half_real_time_is_left_in_peace() -> None:
    settings = Settings(tts_fallback="second", tts_first_pcm_timeout_s=1.0, tts_stall_timeout_s=1.0)
    room = Room(Scripted("first", ["slow"] * 50), Scripted("second"), settings=settings)
    await heard(room.turn())
    assert not room.told and not room.engines["second"].asked


async def test_how_slowly_sound_is_taken_is_nobodys_delay() -> None:
    room = Room(Scripted("first", ["."] * 6), Scripted("second"))
    async for _ in room.turn().speak(TEXT):
        await asyncio.sleep(0.4)  # deadlines are of 0.05 s, and a quarter of real time is 0.8 s a chunk
    assert not room.told


@pytest.mark.parametrize("chunks", [0, 1, 2])
async def test_far_too_little_sound_for_a_text_is_not_all_of_it(chunks: int) -> None:
    short: list[TTSError | str] = ["."] * chunks
    room = Room(Scripted("first", short), Scripted("second"))
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]  # the second attempt says it all
    assert room.stages == [("retry", "broken")]
    room = Room(Scripted("first", short, short), Scripted("second"))
    await heard(room.turn())
    assert room.stages == [("retry", "broken"), ("fallback", "broken")]
    (said,) = room.engines["second"].asked
    assert TEXT.endswith(said[0]) and len(said[0]) > len(TEXT) * 0.7
    ended = "ended without a sound" if not chunks else f"ended after 0.{2 * chunks} s, in the middle of the text"
    assert room.told[0]["message"] == f"first {ended}"


@pytest.mark.parametrize("text", ["!", "…", "😀", "- -", ""])
async def test_where_there_is_nothing_to_say_no_sound_is_missed(text: str) -> None:
    room = Room(Scripted("first", []), Scripted("second"))
    assert [chunk async for chunk in room.turn().speak(text)] == []
    assert not room.told


@pytest.mark.parametrize("text", ["Hm.", "No!", "5", "1000000", "Nooooooooooooooo!", "嗯。", "psst"])
async def test_a_short_text_may_be_short(text: str) -> None:
    room = Room(Scripted("first", ["."]), Scripted("second"))
    await heard(room.turn(), text)
    assert not room.told


async def test_the_configured_voice_is_that_of_the_configured_engine_where_no_other_is_named() -> None:
    settings = Settings(tts_provider="first", tts_voice="nova", tts_fallback="second")
    room = Room(Scripted("first"), Scripted("second"), settings=settings)
    await heard(room.turn())
    await heard(room.turn(voice="anna"))
    await heard(room.turn("second"))
    assert [asked[1] for asked in room.engines["first"].asked] == ["nova", "anna"]
    assert room.engines["second"].asked == [(TEXT, None, None)] and not room.told
    room = Room(
        Scripted("second", [failure("unauthorized")]),
        Scripted("first"),
        settings=Settings(tts_provider="first", tts_voice="nova", tts_fallback="first"),
    )
    await heard(room.turn("second"))
    assert room.engines["first"].asked == [(TEXT, "nova", None)]


class Reading(Scripted):
    """It reads some scripts only; one of its voices, `polyglot`, reads all."""

    def __init__(self, provider: str, *scripts: str) -> None:
        super().__init__(provider)
        self.scripts_read = {*scripts, ""}

    def reads(self, script: str, voice: str | None = None) -> bool:
        return voice == "polyglot" or script in self.scripts_read


CHINESE, ENGLISH, MIXED = "我们明天一起去。", "We go there.", "We go to 北京 soon."


def texts(engine: Scripted) -> list[str]:
    return [asked[0] for asked in engine.asked]


async def test_a_text_is_given_to_the_first_engine_that_reads_it_and_that_is_told_once_a_turn() -> None:
    english, other = Reading("first", "Latin"), Scripted("second")
    room = Room(english, other)
    turn = room.turn()
    for text in (ENGLISH, CHINESE, ENGLISH, MIXED, "42!", CHINESE):
        assert (await turn.engine_for(text)).provider == ("second" if text in (CHINESE, MIXED) else "first")
        await heard(turn, text)
    assert texts(english) == [ENGLISH, ENGLISH, "42!"]
    assert texts(other) == [CHINESE, MIXED, CHINESE]
    assert room.stages == [("fallback", "bad_request")]
    assert (room.told[0]["provider"], room.told[0]["instead"]) == ("first", "second")
    assert room.told[0]["message"] == "first: its voice reads no Chinese"
    await heard(room.turn(), CHINESE)
    assert len(room.told) == 2  # a new turn
    await heard(room.turn())
    assert texts(english)[-1] == TEXT and len(room.told) == 2  # nor does it rest for it


async def test_a_voice_that_was_named_speaks_what_it_can_read() -> None:
    english, other = Reading("first", "Latin"), Scripted("second")
    room = Room(english, other)
    await heard(room.turn(voice="polyglot"), CHINESE)
    await heard(room.turn(voice="anna"), CHINESE)
    assert texts(english) == [CHINESE] == texts(other) and len(room.told) == 1


async def test_what_nobody_reads_is_left_out_and_said_by_nobody() -> None:
    room = Room(Reading("first", "Latin"), Reading("second", "Greek"))
    await heard(room.turn(), MIXED)
    assert texts(room.engines["first"]) == ["We go to  soon."] or texts(room.engines["first"]) == ["We go to soon."]
    with pytest.raises(TTSError, match="reads no Chinese"):
        await heard(room.turn(), CHINESE)


async def test_when_the_one_that_reads_it_fails_too_the_next_that_does_is_asked() -> None:
    settings = Settings(tts_fallback="second,third", tts_first_pcm_timeout_s=0.05, tts_stall_timeout_s=0.05)
    second = Scripted("second", [failure("failed")], [failure("failed")])
    room = Room(Reading("first", "Latin"), second, Scripted("third"), settings=settings)
    turn = room.turn()
    await heard(turn, CHINESE)
    await heard(turn, ENGLISH)
    assert texts(room.engines["third"]) == [CHINESE] and texts(room.engines["first"]) == [ENGLISH]
    assert room.stages == [("fallback", "bad_request"), ("retry", "failed"), ("fallback", "failed")]
    assert room.told[-1]["instead"] == "third"

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
from opentalking.tts import policy
from opentalking.tts.base import TTSAdapter, TTSCode, TTSError, Voice
from opentalking.tts.policy import TurnVoice, VoiceChain, Wanted
from opentalking.types import AudioChunk, Int16

RATE = 24_000
SECRET = "a-secret-key"
CHUNK = RATE // 10
TEXT = "one two three four five six seven eight nine ten"
SETTINGS = Settings(tts_fallback="second", tts_first_pcm_timeout_s=0.05, tts_stall_timeout_s=0.05, tts_rest_s=30.0)


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
                if step == "nothing":
                    await asyncio.sleep(0.02)
                    yield AudioChunk(np.zeros(0, np.int16), self.rate)
                    continue
                if step == "drop":
                    await asyncio.sleep(0.02)
                    yield AudioChunk(np.full(10, 1000, np.int16), self.rate)
                    continue
                if step == "bug":
                    raise KeyError(SECRET)
                yield AudioChunk(np.full(self.rate // 10, 1000 * min(number, 30), np.int16), self.rate)
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
        self.told: list[dict[str, Any]] = []
        self.chain = VoiceChain(settings, self._load, engines[0].provider, clock=lambda: self.now)

    async def _load(self, name: str) -> TTSAdapter:
        if name in self.never_ready:
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
    first = Scripted("first", [*"." * 10, failure("failed")], [failure("failed")])
    room = Room(first, Scripted("second", rate=16_000))
    turn = room.turn()
    pcm = await heard(turn)
    (said,) = room.engines["second"].asked
    assert TEXT.endswith(said[0]) and said[0].startswith("four")  # a second of fourteen characters was heard
    assert len(pcm) > 13.9 * CHUNK
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


async def test_one_that_gives_chunks_without_sound_has_given_no_sound() -> None:
    room = Room(Scripted("first", ["nothing"] * 1000, ["nothing"] * 1000), Scripted("second"))
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.told[0]["message"] == "first gave no sound for 0.05 s"


async def test_one_that_drips_slower_than_it_can_be_heard_is_given_up() -> None:
    room = Room(Scripted("first", ["drop"] * 1000, ["drop"] * 1000), Scripted("second"))
    assert levels(await heard(room.turn()))[-4:] == [1000, 2000, 3000, 4000]
    assert room.told[0]["message"] == "first speaks slower than it can be heard"
    assert room.engines["first"].open == 0


async def test_an_engine_that_does_not_get_ready_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "_LOAD_S", 0.05)
    room = Room(Scripted("first"), Scripted("second"))
    room.never_ready.add("first")
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.told[-1]["message"] == "first is not ready after 0.05 s"


async def test_what_an_engine_should_not_have_raised_is_a_failure_and_its_words_are_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room(Scripted("first", [".", "bug"], ["bug"]), Scripted("second"))
    assert levels(await heard(room.turn()))[-4:] == [1000, 2000, 3000, 4000]
    assert room.stages == [("retry", "failed"), ("fallback", "failed")]
    assert room.told[0]["message"] == "first failed with KeyError"
    assert SECRET not in caplog.text + repr(room.told) and "synthesize_stream" in caplog.text


async def test_one_that_cannot_be_loaded_for_an_unforeseen_reason_is_a_failure_too() -> None:
    room = Room(Scripted("first"), Scripted("second"))
    room.engines["first"] = None  # type: ignore[assignment]
    assert levels(await heard(room.turn())) == [1000, 2000, 3000, 4000]
    assert room.stages == [("retry", "failed"), ("fallback", "failed")] or room.stages == [("fallback", "failed")]


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
    assert before[-1] == pytest.approx([level * 0.5 for level in before[0]], rel=0.03)  # -20.5 dBFS, towards -26
    one_sound = levels(await heard(turn))
    assert one_sound[:3] == pytest.approx(before[-1][:3], rel=0.03)
    assert one_sound[3:] == [1000, 2000, 3000, 4000]

"""The offline recogniser while somebody speaks: partial transcripts, pauses, and what is not decoded twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import msgspec
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.stt.adapters.whisper import WhisperSTT
from opentalking.stt.base import Audio, Pause, Transcript
from opentalking.stt.whisper import Understood, WhisperModel, spoken_within
from opentalking.types import MODEL_RATE, AudioChunk, Int16
from tests.support.spoken import recorded

STEP = MODEL_RATE // 2  # between partials
QUESTION = "What is the weather like today?"


class Counting(WhisperSTT):
    """Keeps how many samples each decode was given."""

    decoded: list[int]

    def _decode(self, pcm: list[Int16], before: Understood) -> Understood:
        understood = super()._decode(pcm, before)
        self.decoded.append(understood.samples)
        return understood


class Speaker:
    """Says what it is told to, when it is told to, and listens to what was understood."""

    def __init__(self, stt: WhisperSTT) -> None:
        self._audio: asyncio.Queue[Audio | None] = asyncio.Queue()
        self.transcripts = stt.transcribe_stream(self._spoken())

    async def _spoken(self) -> AsyncIterator[Audio]:
        while (chunk := await self._audio.get()) is not None:
            yield chunk

    def say(self, *what: Int16 | Pause | None) -> None:
        for one in what:
            self._audio.put_nowait(AudioChunk(one, MODEL_RATE) if isinstance(one, np.ndarray) else one)

    async def hear(self) -> Transcript:
        async with asyncio.timeout(60):
            return await anext(self.transcripts)


@pytest.fixture(scope="module")
def loaded(stt_settings: Settings) -> Counting:
    stt = Counting(msgspec.structs.replace(stt_settings, stt_partial_ms=STEP * 1000 // MODEL_RATE))
    stt.decoded = []
    return stt


@pytest.fixture
def stt(loaded: Counting) -> Iterator[Counting]:
    loaded.decoded.clear()
    yield loaded


async def test_words_come_while_they_are_said_and_each_transcript_covers_more(stt: Counting, question: Int16) -> None:
    speaker = Speaker(stt)
    partials = []
    for start in range(0, len(question) - STEP, STEP):
        speaker.say(question[start : start + STEP])
        if len(partials) < 2 and start >= STEP:  # of the first half second, there may be no words
            partials.append(await speaker.hear())
    speaker.say(question[start + STEP :], None)
    async with aclosing(speaker.transcripts):
        told = [*partials, *[transcript async for transcript in speaker.transcripts]]
    assert [one.is_final for one in told] == [False] * (len(told) - 1) + [True]
    covered = [one.samples for one in told]
    assert covered == sorted(set(covered)) and covered[-1] == len(question)
    assert "what" in partials[-1].text.lower()
    assert told[-1].text == QUESTION


async def test_a_pause_is_answered_with_everything_and_the_end_after_it_costs_nothing(
    stt: Counting, question: Int16
) -> None:
    speaker = Speaker(stt)
    speaker.say(question[:STEP], question[STEP:], Pause())
    while (told := await speaker.hear()).samples < len(question):
        pass
    assert told == Transcript(QUESTION, False, len(question))
    decodes = len(stt.decoded)
    speaker.say(Pause(), None)
    assert await speaker.hear() == told  # a second pause: nothing came since
    assert await speaker.hear() == Transcript(QUESTION, True, len(question))
    assert len(stt.decoded) == decodes


async def test_who_goes_on_after_a_pause_is_heard_to_the_end(stt: Counting, question: Int16) -> None:
    silence = np.zeros(MODEL_RATE // 2, np.int16)
    speaker = Speaker(stt)
    speaker.say(question, silence, Pause())
    while (await speaker.hear()).samples < len(question):
        pass
    more = recorded("go_forward.wav")
    speaker.say(more, None)
    *_, last = [transcript async for transcript in speaker.transcripts]
    assert last.is_final and last.samples == len(question) + len(silence) + len(more)
    assert "weather" in last.text and "meters" in last.text


async def test_a_pause_waits_for_no_partial_and_a_partial_that_cannot_begin_is_left_out(
    stt: Counting, question: Int16
) -> None:
    let_go = threading.Event()
    held = stt._partial = stt._partial_lane.submit(let_go.wait, 60)  # another session's, and a very slow one
    try:
        speaker = Speaker(stt)
        for start in range(0, len(question), 640):
            speaker.say(question[start : start + 640])
        speaker.say(Pause())
        assert await speaker.hear() == Transcript(QUESTION, False, len(question))
        speaker.say(None)
        assert (await speaker.hear()).is_final
        assert stt.decoded == [len(question)]
    finally:
        let_go.set()
        held.result(60)


async def test_a_partial_that_covers_everything_is_the_answer_to_a_pause(stt: Counting, question: Int16) -> None:
    speaker = Speaker(stt)
    speaker.say(question)
    assert (await speaker.hear()).samples == len(question)
    speaker.say(Pause())
    assert await speaker.hear() == Transcript(QUESTION, False, len(question))
    assert stt.decoded == [len(question)]
    await speaker.transcripts.aclose()


async def test_a_recording_has_no_partials(stt: Counting, question: Int16) -> None:
    speaker = Speaker(stt)
    speaker.say(*np.array_split(question, 10), None)
    assert [one.is_final async for one in speaker.transcripts] == [True]
    assert stt.decoded == [len(question)]


async def test_partials_can_be_switched_off(stt_settings: Settings, stt: Counting, question: Int16) -> None:
    silent = Counting(msgspec.structs.replace(stt_settings, stt_partial_ms=0))
    silent._model, silent.decoded = stt._loaded(), []

    async def slowly() -> AsyncIterator[AudioChunk]:
        for piece in np.array_split(question, 10):
            yield AudioChunk(piece, MODEL_RATE)
            for _ in range(3):
                await asyncio.sleep(0)

    assert [one.text async for one in silent.transcribe_stream(slowly())] == [QUESTION]
    await silent.aclose()


def test_what_windows_that_are_complete_held_is_not_decoded_again(stt: Counting, question: Int16) -> None:
    model: WhisperModel = stt._loaded()
    before = Understood("whatever", 30 * MODEL_RATE, kept="Once upon a time.", cut=30 * MODEL_RATE, language="<|en|>")
    long = np.concatenate([np.zeros(30 * MODEL_RATE, np.int16), question])
    after = model.understand(long, before)
    assert after == Understood(f"Once upon a time. {QUESTION}", len(long), before.kept, before.cut, "<|en|>")


def test_a_language_is_kept_when_it_is_sure(stt: Counting, question: Int16) -> None:
    model = stt._loaded()
    assert model.understand(question, Understood()).language == "<|en|>"
    assert model.understand(question // 2, Understood(language="<|de|>")).language == "<|de|>"
    assert model.understand(question[: MODEL_RATE // 2], Understood()).language == ""  # half a second proves nothing


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["<|0.00|>", "Stop", ".", "<|0.80|>"], "Stop."),
        (["<|0.00|>", "Stop", ".", "<|0.80|>", "<|0.80|>", "Stop", ".", "<|2.40|>"], "Stop."),
        (["<|0.00|>", "Stop", ".", "<|0.40|>", "<|0.40|>", "Now", ".", "<|0.90|>"], "Stop.Now."),
        (["<|0.00|>", "Stop", ".", "<|0.40|>", "<|0.40|>", "Stop", "."], "Stop."),
        (["<|0.00|>", "Stop", ".", "<|0.40|>", "<|0.40|>", "Now", ".", "<|2.40|>"], "Stop.Now."),
        (["<|0.00|>", "Stop", ".", "<|0.90|>", "<|0.90|>", "Now", ".", "<|2.40|>"], "Stop."),
        (["<|0.00|>", "Stop", ".", "<|2.40|>"], "Stop."),
        (["<|0.00|>", "Stop", "."], "Stop."),
        (["Stop", "."], "Stop."),
        ([], ""),
    ],
)
def test_a_sentence_that_is_timed_behind_the_sound_was_not_said(tokens: list[str], said: str) -> None:
    assert "".join(spoken_within(["<|en|>", *tokens], 1.0)).replace("<|en|>", "") == said

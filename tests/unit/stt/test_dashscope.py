"""DashScope's recogniser through its own library, against a stand-in that speaks its protocol."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator

import msgspec
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.stt.adapters.dashscope import DashScopeSTT
from opentalking.stt.base import Audio, Pause, STTError, Transcript
from opentalking.types import MODEL_RATE, AudioChunk, Int16
from tests.support.dashscope_server import DashScopeServer, Failure


@pytest.fixture
def server(dashscope: DashScopeServer) -> Iterator[DashScopeServer]:
    """As it was, afterwards."""
    sentences = dashscope.sentences
    yield dashscope
    dashscope.sentences, dashscope.failure = sentences, ""


async def said(settings: Settings, pcm: Int16, rate: int = MODEL_RATE) -> list[Transcript]:
    async def audio() -> AsyncIterator[Audio]:
        for piece in np.array_split(pcm, 50):
            yield AudioChunk(piece, rate)
            yield Pause()
            await asyncio.sleep(0)

    async with asyncio.timeout(60):
        return [transcript async for transcript in DashScopeSTT(settings).transcribe_stream(audio())]


async def test_words_come_one_by_one_and_cover_more_each_time(
    stt_settings: Settings, server: DashScopeServer, question: Int16
) -> None:
    transcripts = await said(stt_settings, question)
    texts = [one.text for one in transcripts]
    assert len(texts) > 3 and texts[0] == "What"
    assert all(after.startswith(before) for before, after in itertools.pairwise(texts))
    covered = [one.samples for one in transcripts]
    assert covered == sorted(covered) and covered[-1] == len(question)
    assert server.received[-1] >= 2 * len(question)


async def test_words_come_also_while_no_sound_does(
    stt_settings: Settings, server: DashScopeServer, question: Int16
) -> None:
    understood = asyncio.Event()

    async def audio() -> AsyncIterator[Audio]:
        yield AudioChunk(question[: MODEL_RATE // 2], MODEL_RATE)
        await understood.wait()
        yield AudioChunk(question[MODEL_RATE // 2 :], MODEL_RATE)

    transcripts = DashScopeSTT(stt_settings).transcribe_stream(audio())
    async with asyncio.timeout(20):  # before the library gives up
        first = await anext(transcripts)
    assert not first.is_final and first.text == "What" and first.samples <= MODEL_RATE // 2
    understood.set()
    *_, last = [transcript async for transcript in transcripts]
    assert last == Transcript("What is the weather like today?", True, len(question))


@pytest.mark.parametrize(
    ("sentences", "whole"),
    [(["It rains.", "Take a coat."], "It rains. Take a coat."), (["下雨了。", "带伞。"], "下雨了。带伞。")],
)
async def test_sentences_are_joined_as_their_language_does(
    stt_settings: Settings, server: DashScopeServer, question: Int16, sentences: list[str], whole: str
) -> None:
    server.sentences = sentences
    transcripts = await said(stt_settings, question)
    assert transcripts[-1] == Transcript(whole, True, len(question))
    assert all(whole.startswith(one.text) for one in transcripts)


async def test_model_and_language_are_those_of_the_settings(
    stt_settings: Settings, server: DashScopeServer, question: Int16
) -> None:
    await said(msgspec.structs.replace(stt_settings, stt_language="de", stt_dashscope_model="fun-asr"), question)
    asked = server.tasks[-1]
    assert (asked["model"], asked["task_group"], asked["task"], asked["function"]) == (
        "fun-asr",
        "audio",
        "asr",
        "recognition",
    )
    assert asked["parameters"] == {"sample_rate": 16_000, "format": "pcm", "language_hints": ["de"]}
    await said(stt_settings, question)
    assert server.tasks[-1]["model"] == "paraformer-realtime-v2"
    assert "language_hints" not in server.tasks[-1]["parameters"]


async def test_a_key_that_is_wrong_is_named_by_its_setting(stt_settings: Settings, question: Int16) -> None:
    with pytest.raises(STTError, match="dashscope refuses OPENTALKING_DASHSCOPE_API_KEY: Unauthorized"):
        await said(msgspec.structs.replace(stt_settings, dashscope_api_key="wrong"), question)


@pytest.mark.parametrize(
    ("failure", "told"),
    [("task-failed", "InvalidParameter: the stand-in has had enough"), ("drop", "dashscope: .*close")],
)
async def test_a_task_that_fails_half_way_is_told(
    stt_settings: Settings, server: DashScopeServer, question: Int16, failure: Failure, told: str
) -> None:
    server.failure = failure
    with pytest.raises(STTError, match=told):
        await said(stt_settings, question)
    server.failure = ""
    assert (await said(stt_settings, question))[-1].text == "What is the weather like today?"


async def test_a_service_that_is_not_there_is_told(stt_settings: Settings, question: Int16) -> None:
    with pytest.raises(STTError, match=r"dashscope: ClientConnectorError: .*127\.0\.0\.1:9"):
        await said(msgspec.structs.replace(stt_settings, dashscope_base_url="ws://127.0.0.1:9/"), question)


async def test_another_rate_is_refused(stt_settings: Settings, question: Int16) -> None:
    with pytest.raises(STTError, match="dashscope is sent 16000 Hz, not 48000"):
        await said(stt_settings, question, 48_000)


async def test_a_service_that_falls_silent_can_be_left_and_holds_nothing_up(
    stt_settings: Settings, server: DashScopeServer, question: Int16
) -> None:
    server.failure = "mute"
    server.asked.clear()
    before = set(threading.enumerate())
    waiting = asyncio.create_task(said(stt_settings, question))
    assert await asyncio.to_thread(server.asked.wait, 30)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    begun = [one for one in threading.enumerate() if one not in before and not one.name.startswith("asyncio_")]
    assert len(begun) >= 2 and all(thread.daemon for thread in begun)  # the process can end without them
    server.failure = ""
    assert (await said(stt_settings, question))[-1].text == "What is the weather like today?"


def test_without_a_key_it_is_missing() -> None:
    assert DashScopeSTT.missing(Settings()) == "set OPENTALKING_DASHSCOPE_API_KEY"

"""The one suite that every recogniser passes. A new one joins by its entry in the registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.stt.base import STTAdapter, Transcript
from opentalking.stt.registry import create_stt, list_stt
from opentalking.types import MODEL_RATE, AudioChunk, Int16


@pytest.fixture(scope="module", params=list_stt(Settings()))
def stt(request: pytest.FixtureRequest, stt_settings: Settings) -> Iterator[STTAdapter]:
    """In one loop, as in a worker: a service's connections belong to it."""
    yield create_stt(request.param, stt_settings)


async def microphone(pcm: Int16, piece: int = 640) -> AsyncIterator[AudioChunk]:
    for start in range(0, len(pcm), piece):
        yield AudioChunk(pcm[start : start + piece], MODEL_RATE)
        await asyncio.sleep(0)


async def said(stt: STTAdapter, pcm: Int16, piece: int = 640) -> list[Transcript]:
    try:
        async with aclosing(stt.transcribe_stream(microphone(pcm, piece))) as transcripts:
            return [transcript async for transcript in transcripts]
    finally:
        if hasattr(stt, "_client"):
            await stt.aclose()
            stt._client = None


async def _all(stt: STTAdapter, pcm: Int16) -> list[Transcript]:
    return [transcript async for transcript in stt.transcribe_stream(microphone(pcm))]


async def test_the_words_come_and_the_last_transcript_alone_is_final(stt: STTAdapter, question: Int16) -> None:
    transcripts = await said(stt, question)
    assert [one.is_final for one in transcripts] == [False] * (len(transcripts) - 1) + [True]
    assert transcripts[-1].text == "What is the weather like today?"


async def test_pieces_of_any_size_make_the_same_words(stt: STTAdapter, question: Int16) -> None:
    assert (await said(stt, question, 333))[-1].text == (await said(stt, question, 16_000))[-1].text


@pytest.mark.parametrize("seconds", [0, 0.01, 1.5])
async def test_nothing_and_silence_hold_no_words(stt: STTAdapter, seconds: float) -> None:
    transcripts = await said(stt, np.zeros(int(seconds * MODEL_RATE), np.int16))
    assert [(one.text, one.is_final) for one in transcripts] == [("", True)]


async def test_one_after_another_and_two_at_once_are_recognised(stt: STTAdapter, question: Int16) -> None:
    await said(stt, question)
    both = await asyncio.gather(*(_all(stt, pcm) for pcm in (question, np.zeros(MODEL_RATE, np.int16))))
    assert [transcripts[-1].text for transcripts in both] == ["What is the weather like today?", ""]
    if hasattr(stt, "_client"):
        await stt.aclose()
        stt._client = None


async def test_a_dropped_utterance_holds_up_nobody(stt: STTAdapter, question: Int16) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[AudioChunk]:
        started.set()
        while True:
            yield AudioChunk(question[:640], MODEL_RATE)
            await asyncio.sleep(0.001)

    async def listen() -> None:
        async for _ in stt.transcribe_stream(endless()):
            pass

    dropped = asyncio.create_task(listen())
    await started.wait()
    dropped.cancel()
    await asyncio.gather(dropped, return_exceptions=True)
    assert (await said(stt, question))[-1].text == "What is the weather like today?"

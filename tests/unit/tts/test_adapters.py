"""The one suite that every voice engine on this machine passes; those elsewhere have test_services.py."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import aclosing

import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.policy import OFFLINE
from opentalking.tts.registry import create_tts
from opentalking.types import Int16

SENTENCE = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module", params=OFFLINE)
def tts(request: pytest.FixtureRequest, voice_settings: Settings) -> Iterator[TTSAdapter]:
    adapter = create_tts(request.param, voice_settings)
    asyncio.run(adapter.warmup())
    yield adapter
    asyncio.run(adapter.aclose())


async def speak(tts: TTSAdapter, text: str, voice: str | None = None) -> tuple[Int16, int]:
    """(PCM, rate) of a text; the rate must be the same in all chunks."""
    chunks = [chunk async for chunk in tts.synthesize_stream(text, voice)]
    assert len({chunk.sample_rate for chunk in chunks}) <= 1
    assert all(chunk.data.dtype == np.int16 and chunk.data.ndim == 1 and len(chunk.data) for chunk in chunks)
    pcm = np.concatenate([np.zeros(0, np.int16), *(chunk.data for chunk in chunks)])
    return pcm, chunks[0].sample_rate if chunks else 0


async def test_a_sentence_is_audible_and_takes_a_plausible_time(tts: TTSAdapter) -> None:
    pcm, rate = await speak(tts, SENTENCE)
    assert rate in tts.sample_rates
    assert 1.5 < len(pcm) / rate < 6
    level = float(np.sqrt(np.mean((pcm / 32768.0) ** 2)))
    assert 0.02 < level < 0.3
    assert np.mean(np.abs(pcm.astype(int)) >= 32_767) < 0.001  # not clipped


async def test_a_sentence_comes_in_several_chunks(tts: TTSAdapter) -> None:
    assert len([chunk async for chunk in tts.synthesize_stream(SENTENCE)]) > 2


@pytest.mark.parametrize("text", ["", " \n\t "])
async def test_a_blank_text_makes_no_sound(tts: TTSAdapter, text: str) -> None:
    assert len((await speak(tts, text))[0]) == 0


async def test_a_long_text_is_spoken_to_its_end(tts: TTSAdapter) -> None:
    one, _ = await speak(tts, SENTENCE)
    six, _ = await speak(tts, " ".join([SENTENCE] * 6))
    assert len(six) > 4 * len(one)


@pytest.mark.parametrize(
    "text", ["Zürich naïve 你好，世界。", "😀 emoji 👨‍👩‍👧", "lone \ud83d surrogate", "nul \0 byte", "ا ب"]
)
async def test_any_unicode_is_spoken_without_failing(tts: TTSAdapter, text: str) -> None:
    assert len((await speak(tts, text))[0]) > 0


@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_aborting_midway_leaves_nothing_running(tts: TTSAdapter, how: str) -> None:
    text = " ".join([SENTENCE] * 12)
    started = time.monotonic()
    await speak(tts, text)
    whole_s = time.monotonic() - started
    async with aclosing(tts.synthesize_stream(text)) as chunks:
        await anext(chunks)
        if how == "cancel":
            waiting = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
    started = time.monotonic()
    pcm, rate = await speak(tts, SENTENCE)  # waits for what is left of the text before, if anything is
    assert time.monotonic() - started < whole_s
    assert 1.5 < len(pcm) / rate < 6


async def test_one_that_fails_after_nobody_listens_any_more_is_no_complaint(
    tts: TTSAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    before = asyncio.ensure_future(speak(tts, " ".join([SENTENCE] * 6)))
    async with aclosing(tts.synthesize_stream("Hello.", "nobody")) as chunks:
        waiting = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
    await before
    await speak(tts, SENTENCE)  # after it, on the same thread
    del waiting, chunks  # they hold on to its failure
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_sessions_that_speak_at_once_do_not_mix(tts: TTSAdapter) -> None:
    short, long = "Yes.", SENTENCE
    (yes, _), (fox, _) = await asyncio.gather(speak(tts, short), speak(tts, long))
    assert len(fox) > 2 * len(yes) > 0


async def test_every_voice_listed_names_its_engine(tts: TTSAdapter) -> None:
    voices = tts.voices()
    assert voices
    assert {voice.provider for voice in voices} == {tts.provider}
    pcm, _ = await speak(tts, "Hello.", voices[0].voice_id)
    assert len(pcm)


async def test_an_unknown_voice_is_named_in_the_error(tts: TTSAdapter) -> None:
    with pytest.raises(TTSError, match="no voice 'nobody'"):
        await speak(tts, "Hello.", "nobody")


async def test_every_voice_that_is_listed_speaks_and_is_listed_once(tts: TTSAdapter) -> None:
    listed = [voice.voice_id for voice in tts.voices()]
    assert len(set(listed)) == len(listed)
    for voice in listed:
        assert len((await speak(tts, "1, 2.", voice))[0]) > 0, voice


CHINESE = "北京的秋天很美，我们明天一起去颐和园吧。"


async def test_espeak_says_what_is_written_in_another_script_in_its_language(voice_settings: Settings) -> None:
    tts = create_tts("espeak", voice_settings)
    seconds = {
        voice: len((await speak(tts, text, voice))[0]) / 22_050
        for voice, text in ((None, CHINESE), ("cmn", CHINESE), ("de", CHINESE))
    }
    assert seconds[None] == pytest.approx(seconds["cmn"], rel=0.02) and seconds["cmn"] < 7  # "Chinese letter": 10 s
    assert seconds["de"] == pytest.approx(seconds["cmn"], rel=0.02)
    mixed, _ = await speak(tts, f"He said {CHINESE} And left.")
    parts = [len((await speak(tts, text))[0]) for text in ("He said", CHINESE, "And left.")]
    assert len(mixed) == pytest.approx(sum(parts), rel=0.15)
    await tts.aclose()

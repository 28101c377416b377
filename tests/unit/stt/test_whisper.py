"""What is special about the offline recogniser: what it takes for speech, long utterances, its tokens, its thread."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from difflib import SequenceMatcher

import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.stt.adapters.whisper import WhisperSTT
from opentalking.stt.base import STTError
from opentalking.stt.whisper import EARLIEST_CUT_S, WINDOW_S, text_of, windows
from opentalking.types import MODEL_RATE, AudioChunk, Int16
from tests.support.spoken import said_by_piper

STORY = (
    "The train left the station early in the morning, and nobody was there to see it go. The driver had a cup of "
    "coffee in one hand and a letter from his sister in the other. She lived by the sea, in a small white house with a "
    "blue door. Every summer he took the children to visit her, and they swam until their fingers were cold. This year "
    "the bridge was closed, so the journey took two hours longer than before. When they finally arrived, the table was "
    "set for dinner, and the whole family sat together in the garden until the stars came out. In the morning they "
    "walked to the market and bought bread, apples, and a kite for the youngest boy."
)
NOISE = np.random.default_rng(1)


async def text(stt: WhisperSTT, pcm: Int16, rate: int = MODEL_RATE) -> str:
    async def audio() -> AsyncIterator[AudioChunk]:
        yield AudioChunk(pcm, rate)

    return [one async for one in stt.transcribe_stream(audio())][-1].text


@pytest.fixture(scope="module")
def whisper(stt_settings: Settings) -> WhisperSTT:
    return WhisperSTT(stt_settings)


@pytest.mark.parametrize("level", [3, 20, 300])
async def test_noise_holds_no_words(whisper: WhisperSTT, level: int) -> None:
    assert await text(whisper, NOISE.normal(0, level, 2 * MODEL_RATE).astype(np.int16)) == ""


async def test_quiet_speech_in_a_little_noise_is_understood(whisper: WhisperSTT, question: Int16) -> None:
    quiet = question / 20 + NOISE.normal(0, 5, len(question))
    assert "weather" in (await text(whisper, quiet.astype(np.int16))).lower()


async def test_an_utterance_longer_than_whisper_hears_is_understood_to_its_end(
    whisper: WhisperSTT, stt_settings: Settings
) -> None:
    story = await said_by_piper(STORY, stt_settings)
    assert len(story) > 30 * MODEL_RATE
    wanted, heard = (re.findall(r"\w+", words.lower()) for words in (STORY, await text(whisper, story)))
    agreeing = SequenceMatcher(None, wanted, heard, autojunk=False).get_matching_blocks()
    assert sum(block.size for block in agreeing) > 0.95 * len(wanted)


async def test_the_loop_turns_while_a_model_decodes(whisper: WhisperSTT, question: Int16) -> None:
    """In a worker, heartbeats and other sessions' sound depend on it."""
    turns = 0
    decoding = asyncio.create_task(text(whisper, question))
    while not decoding.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 20


async def test_another_rate_is_refused(whisper: WhisperSTT, question: Int16) -> None:
    with pytest.raises(STTError, match="whisper hears 16000 Hz, not 48000"):
        await text(whisper, question, 48_000)


@pytest.mark.parametrize("seconds", [0, 1, 28, 28.001, 29, 61.7])
def test_windows_are_the_utterance_and_none_is_too_long(seconds: float) -> None:
    pcm = NOISE.integers(-1000, 1000, int(seconds * MODEL_RATE)).astype(np.int16)
    pieces = list(windows(pcm))
    assert np.array_equal(np.concatenate(pieces), pcm)
    assert all(len(piece) <= WINDOW_S * MODEL_RATE for piece in pieces)
    assert all(len(piece) >= EARLIEST_CUT_S * MODEL_RATE for piece in pieces[:-1])


def test_a_long_utterance_is_cut_in_its_pause() -> None:
    pcm = NOISE.integers(-1000, 1000, 40 * MODEL_RATE).astype(np.int16)
    pcm[24 * MODEL_RATE : int(24.4 * MODEL_RATE)] = 0
    first, _ = windows(pcm)
    assert 24 * MODEL_RATE < len(first) < 24.4 * MODEL_RATE


def test_tokens_are_bytes_and_special_ones_are_none() -> None:
    assert text_of(["<|en|>", "ĠWhat", "'s", "Ġup", "?", "<|endoftext|>"]) == "What's up?"
    assert text_of(["ä½łå¥½", "ãĢĤ"]) == "你好。"
    assert text_of(["caf", "Ã", "©"]) == "café"
    assert text_of(["Ã"]) == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("content", [None, b"no model"])
def test_a_model_path_that_holds_none_is_named(tmp_path, content) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(stt_model_path=str(tmp_path))
    if content is None:
        assert WhisperSTT.missing(settings) == f"OPENTALKING_STT_MODEL_PATH: there is no model.bin in {tmp_path}"
        return
    (tmp_path / "model.bin").write_bytes(content)
    (tmp_path / "config.json").write_text("{}")
    assert WhisperSTT.missing(settings) is None
    with pytest.raises(STTError, match=f"{tmp_path} cannot be loaded"):
        asyncio.run(WhisperSTT(settings).warmup())

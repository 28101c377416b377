"""The voices of a speech process: a taste of one sounds as it would in a session."""

from __future__ import annotations

import asyncio
import base64
import io
import time
import wave
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.store import Preview
from opentalking.tts.base import Voice
from opentalking.tts.policy import TurnVoice, Wanted
from opentalking.types import AudioChunk, Int16
from tests.support.tone import RATE, ToneTTS, tone
from workers.voices import Voices

TEXT = "This is how I sound when I have a little more to say."
SETTINGS = Settings(tts_provider="tone", tts_plugins="tone=tests.support.tone:ToneTTS")


CHINESE = "北京的秋天很美，我们明天一起去颐和园吧。"
SECRET = "https://api.x/v1?key=sk-PLUGINS"


class OddTTS(ToneTTS):
    """A voice that goes wrong as the text says."""

    closed = 0

    async def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        try:
            if text == "Stall.":
                await asyncio.Event().wait()
            if text == "Raise.":
                raise KeyError(SECRET)
            while text == "Endless.":
                yield AudioChunk(np.zeros(RATE, np.int16), RATE)
        finally:
            OddTTS.closed += 1


async def replied(voices: Voices, text: str, provider: str = "") -> dict[str, Any]:
    preview = Preview("preview-1", "1", text, time.time() + 30, tts_provider=provider, tts_voice="", tts_model="")
    return await voices.preview(preview)


async def tasted(voices: Voices, text: str = TEXT, provider: str = "") -> Int16:
    reply = await replied(voices, text, provider)
    with wave.open(io.BytesIO(base64.b64decode(reply["wav"]))) as heard:
        return np.frombuffer(heard.readframes(heard.getnframes()), "<i2").astype(np.int16)


async def said(voices: Voices, text: str = TEXT) -> Int16:
    turn = TurnVoice(voices.chain, Wanted("tone"), lambda *_: None)
    return np.concatenate([chunk.data async for chunk in turn.speak(text)])


@pytest.mark.parametrize("provider", ["", "tone"])
async def test_a_taste_is_as_loud_as_the_turn_after_it(provider: str) -> None:
    voices = Voices(SETTINGS)
    taste = await tasted(voices, provider=provider)
    assert np.abs(taste).max() < 0.6 * np.abs(tone(TEXT)).max()  # it has -15 dBFS, and is to have -23
    np.testing.assert_array_equal(taste, await said(voices))
    await voices.close()


async def test_a_taste_of_a_voice_that_was_heard_before_is_as_loud_as_its_turns() -> None:
    voices = Voices(SETTINGS)
    for _ in range(8):
        before = await said(voices)
    taste = await tasted(voices)
    assert np.abs(taste).max() == pytest.approx(np.abs(before).max(), rel=0.05)
    await voices.close()


@pytest.mark.parametrize(("text", "target_db"), [(TEXT, 0.0), ("ah", -23.0)])
async def test_as_its_service_gives_it_where_that_is_wanted_or_too_little_is_known(text: str, target_db: float) -> None:
    voices = Voices(msgspec.structs.replace(SETTINGS, tts_loudness_db=target_db))
    np.testing.assert_array_equal(await tasted(voices, text), tone(text))
    await voices.close()


@pytest.fixture
async def odd() -> AsyncGenerator[Voices, None]:
    plugins = "tone=tests.support.tone:ToneTTS,odd=tests.unit.workers.test_voices:OddTTS"
    deadlines = {"tts_first_pcm_timeout_s": 0.2, "tts_stall_timeout_s": 0.2}
    voices = Voices(Settings(tts_provider="tone", tts_plugins=plugins, **deadlines))
    yield voices
    await voices.close()


async def test_a_taste_of_what_does_not_end_is_not_longer_than_the_text_can_be(odd: Voices) -> None:
    assert 10 * RATE < len(await tasted(odd, "Endless.", "odd")) < 20 * RATE


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("Stall.", "timeout", "odd gave no sound for 0.2 s"),
        ("Raise.", "failed", "odd failed: KeyError"),
        ("Nothing at all.", "broken", "odd ended without a sound"),
    ],
)
async def test_a_voice_that_goes_wrong_is_told_at_once_as_in_a_turn(
    odd: Voices, text: str, code: str, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = OddTTS.closed
    assert await replied(odd, text, "odd") == {"code": code, "detail": detail}
    assert OddTTS.closed == before + 1 and "PLUGINS" not in caplog.text


async def test_chinese_goes_to_the_default_voice_that_reads_it_and_is_refused_where_only_another_was_asked_for(
    tmp_path: Path,
) -> None:
    voices, told = Voices(Settings(run_dir=str(tmp_path))), list[dict[str, Any]]()
    refused = await replied(voices, CHINESE, "piper")
    assert refused == {"code": "bad_request", "detail": "piper: its voice reads no Chinese"}
    turn = TurnVoice(voices.chain, Wanted("piper"), lambda event, data: told.append(data))
    seconds = 0.0
    async for chunk in turn.speak(CHINESE):
        seconds += len(chunk.data) / chunk.sample_rate
    assert 3 < seconds < 7  # "Chinese letter", for each, were ten
    assert [(data["provider"], data["instead"]) for data in told] == [("piper", "espeak")]


class Unlisted(ToneTTS):
    """Speaks, but cannot say with which voices."""

    def voices(self) -> list[Voice]:
        raise KeyError("sk-a-secret")


async def test_an_engine_that_cannot_list_its_voices_hides_no_other() -> None:
    voices = Voices(msgspec.structs.replace(SETTINGS, tts_plugins=f"{SETTINGS.tts_plugins},odd={__name__}:Unlisted"))
    await voices.warm()
    assert voices.info()["tts"]["odd"] == {"available": False, "reason": "it failed with KeyError", "any_voice": False}
    assert "tone" in {voice["provider"] for voice in voices.info()["voices"]}
    await voices.close()

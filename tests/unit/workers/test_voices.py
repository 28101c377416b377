"""The voices of a speech process: a taste of one sounds as it would in a session."""

from __future__ import annotations

import base64
import io
import time
import wave

import msgspec
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.store import Preview
from opentalking.tts.policy import TurnVoice, Wanted
from opentalking.types import Int16
from tests.support.tone import tone
from workers.voices import Voices

TEXT = "This is how I sound when I have a little more to say."
SETTINGS = Settings(tts_provider="tone", tts_plugins="tone=tests.support.tone:ToneTTS")


async def tasted(voices: Voices, text: str = TEXT, provider: str = "") -> Int16:
    preview = Preview("preview-1", "1", text, time.time() + 30, tts_provider=provider, tts_voice="", tts_model="")
    reply = await voices.preview(preview)
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

"""What is left of a text after some seconds, and which sound is too short to be all of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter
from opentalking.tts.pace import has_words, rest_after, shortest_s, usual_s
from opentalking.tts.policy import OFFLINE
from opentalking.tts.registry import create_tts

# what is short to say for its letters, in any voice: sighs, abbreviations, repetitions, the fastest languages
SHORT = ["Hm.", "No!", "I", "A.", "psst", "Shh!", "strengths", "Nooooooooooo!", "Hmmmm.", "5", "1000000"]
SHORT += ["www.a.b/c", "hahahahahaha", "through thorough thought", "queue queue queue", "Mr. Smith", "e.g."]
LONGER = {
    "en-us": "The quick brown fox jumps over the lazy dog.",
    "fr-fr": "Qu'est-ce que c'est que ce bruit?",
    "es": "El tiempo está muy bueno hoy, ¿verdad?",
    "de": "Donaudampfschifffahrtsgesellschaftskapitän",
    "ru": "Сегодня очень хорошая погода, правда?",
    "cmn": "北京的秋天很美，我们明天一起去颐和园吧。",
    "ja": "ありがとうございます。またお会いしましょう。",
    "ko": "저는 한국어를 공부하고 있습니다.",
    "ar": "الطقس جميل اليوم، أليس كذلك؟",
    "hi": "आज मौसम बहुत अच्छा है।",
    "th": "วันนี้อากาศดีมาก",
    "he": "שלום לכם, מה שלומכם היום?",
    "vi": "Hôm nay thời tiết rất đẹp.",
}


async def seconds(tts: TTSAdapter, text: str, voice: str | None = None) -> float:
    """Of the sound alone, without the silence around it: services cut that off."""
    chunks = [chunk async for chunk in tts.synthesize_stream(text, voice)]
    pcm = np.concatenate([np.zeros(0, np.int16), *(chunk.data for chunk in chunks)])
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 150)
    return float(loud[-1] - loud[0]) / chunks[0].sample_rate if len(loud) else 0.0


@pytest.mark.parametrize("provider", OFFLINE)
async def test_no_real_voice_comes_near_what_is_too_short(provider: str, voice_settings: Settings) -> None:
    tts = create_tts(provider, voice_settings)
    for text in SHORT:
        assert await seconds(tts, text) > 1.2 * shortest_s(text), text  # Piper never says it twice alike
    for voice, text in LONGER.items() if provider == "espeak" else ():
        alone_s = await seconds(tts, text, voice)
        assert alone_s > 2.5 * shortest_s(text), voice
        assert 0.6 < alone_s / usual_s(text) < 2.5, voice
    await tts.aclose()


@pytest.mark.parametrize("text", ["", "!", "…", "😀", "👨‍👩‍👧", "- - -", "123,456", " \n"])
def test_what_has_no_letters_may_be_of_any_length(text: str) -> None:
    assert shortest_s(text) == 0
    assert has_words(text) == ("1" in text)


@pytest.mark.parametrize(
    ("text", "letters", "rest"),
    [
        ("one two three", 0, "one two three"),
        ("one two three", 2.9, "one two three"),
        ("one two three", 3, "two three"),
        ("one two three", 99, "three"),
        ("“one” (two) three!", 99, "three!"),
        ("!", 99, ""),
        ("", 0, ""),
    ],
)
def test_the_rest_begins_with_the_word_that_was_being_said(text: str, letters: float, rest: str) -> None:
    assert rest_after(text, letters * usual_s("a")) == rest


PARK = "我们明天一起去公园吧。"


@pytest.mark.parametrize(
    ("text", "said", "rest"),
    [
        (PARK, 0.0, PARK),
        (PARK, 1.0, "一起去公园吧。"),  # four characters are over, not fourteen
        (PARK, 99.0, "吧。"),
        ("今天天气怎么样", 0.75, "气怎么样"),
        ("我有iPad吗？", 0.5, "iPad吗？"),
        ("こんにちは", 0.3, "にちは"),
        ("วันนี้", 0.13, "นนี้"),
    ],
)
def test_where_nothing_stands_between_words_the_rest_begins_with_a_character(text: str, said: float, rest: str) -> None:
    assert rest_after(text, said) == rest


@given(st.text("aé 。，你好は한!1", max_size=30), st.floats(0, 10))
def test_the_rest_is_the_end_of_the_text_and_holds_a_word_if_the_text_does(text: str, said: float) -> None:
    rest = rest_after(text, said)
    assert text.endswith(rest) and has_words(rest) == has_words(text)

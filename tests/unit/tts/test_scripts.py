"""A text is taken apart by the scripts it is written in, and each is given to a language that reads it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.config import Settings
from opentalking.tts.adapters.espeak import EspeakTTS
from opentalking.tts.scripts import LANGUAGES, reads, runs, script_of, scripts_in

GREETINGS = {
    "Latin": "Hello, naïve Zürich",
    "Chinese": "你好，世界。",
    "Japanese": "こんにちは、コーヒー",
    "Korean": "안녕하세요",
    "Cyrillic": "Привет",
    "Arabic": "مرحبا",
    "Devanagari": "नमस्ते",
    "Greek": "Γειά σου",
    "Hebrew": "שלום",
    "Thai": "ค่ะ",
    "Bengali": "হ্যাঁ",
    "Tamil": "ஆம்",
    "Telugu": "అవును",
    "Kannada": "ಹೌದು",
    "Malayalam": "അതെ",
    "Gujarati": "હા",
    "Gurmukhi": "ਹਾਂ",
    "Oriya": "ହଁ",
    "Sinhala": "ඔව්",
    "Myanmar": "ဟုတ်ကဲ့",
    "Ethiopic": "አዎን",
    "Georgian": "დიახ",
    "Armenian": "Այո",
}


def test_every_script_is_told_by_a_greeting() -> None:
    assert {script: scripts_in(text) for script, text in GREETINGS.items()} == {
        script: {script} for script in ("Latin", *LANGUAGES)
    }


def test_for_every_script_espeak_has_the_language_that_is_chosen() -> None:
    listed = {voice.voice_id for voice in EspeakTTS(Settings()).voices()}
    assert {languages[0] for languages in LANGUAGES.values()} <= listed


@given(st.text(max_size=30))
def test_runs_leave_nothing_out_and_neighbours_differ(text: str) -> None:
    found = list(runs(text))
    assert "".join(part for _, part in found) == text
    assert all(one[0] != other[0] for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "My friend says 你好 every day.",
            [("Latin", "My friend says "), ("Chinese", "你好 "), ("Latin", "every day.")],
        ),
        ("2026年，我有3个iPad。", [("Chinese", "2026年，我有3个"), ("Latin", "iPad。")]),
        ("10 μm is π times Ω.", [("Latin", "10 μm is π times Ω.")]),
        ("Я и ты", [("Cyrillic", "Я и ты")]),
        ("今日は", [("Chinese", "今日"), ("Japanese", "は")]),
        ("42!", [("", "42!")]),
        ("😀", [("", "😀")]),
        ("", []),
    ],
)
def test_what_has_no_script_goes_with_what_is_before_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert list(runs(text)) == expected


def test_a_language_reads_its_own_script_and_latin() -> None:
    assert reads("en_US", "Latin") and reads("en_US", "") and not reads("en_US", "Chinese")
    assert reads("zh_CN", "Chinese") and reads("zh-CN", "Latin") and reads("cmn", "Chinese")
    assert reads("ru_RU", "Cyrillic") and not reads("ru", "Arabic") and reads("sr_RS", "Cyrillic")
    assert script_of("é") == "Latin" and script_of("5") == script_of("。") == ""

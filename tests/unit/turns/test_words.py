"""Words as a listener compares them."""

from __future__ import annotations

import pytest

from opentalking.turns.words import in_common, without_phrases, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Uh-huh, that's IT!", ["uh", "huh", "that's", "it"]),
        ("that’s 42 °C", ["that's", "42", "c"]),
        ("[cough] (coughs) *sneeze*", []),
        ("...", []),
        ("", []),
        ("停！等一下", ["停", "等", "一", "下"]),
        ("ＯＫ，好", ["ok", "好"]),
        ("Größe", ["größe"]),
    ],
)
def test_words_have_no_case_no_punctuation_and_no_noises(text: str, expected: list[str]) -> None:
    assert words(text) == [word.casefold() for word in expected]


def test_phrases_go_wherever_they_stand_and_however_long_they_are_drawn() -> None:
    phrases = [["mm", "hmm"], ["i", "see"], ["ok"]]
    assert without_phrases(words("Mmmm-hm, I seeee, okkk"), phrases) == []
    assert without_phrases(words("ok I know, I see"), phrases) == ["i", "know"]


def test_words_in_common_keep_their_order() -> None:
    assert in_common(words("the weather is fine"), words("I say the fine weather is here")) == 3
    assert in_common(words("stop"), words("the weather is fine")) == 0
    assert in_common([], words("the weather")) == 0


def test_a_word_cut_short_is_known_by_its_first_three_letters() -> None:
    assert in_common(["wea"], ["weather"]) == 1
    assert in_common(["we"], ["weather"]) == 0
    assert in_common(["weather"], ["wea"]) == 0

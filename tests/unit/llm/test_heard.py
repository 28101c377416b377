"""What was heard of a turn, told by the playout cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.llm.heard import SpokenFragment, heard_of_fragment, heard_of_turn, join_fragments

WORD = st.text("abcdefgh,.'!", min_size=1, max_size=9)
SENTENCE = st.lists(WORD, min_size=1, max_size=8).map(" ".join)
FRAGMENT = st.builds(SpokenFragment, SENTENCE, st.integers(1, 200_000), st.booleans())
CHINESE = st.text("你好世界今天天气很好，。", min_size=1, max_size=12)


@given(fragment=FRAGMENT, one=st.integers(0, 300_000), more=st.integers(0, 300_000))
def test_the_further_the_cursor_the_more_was_heard(fragment: SpokenFragment, one: int, more: int) -> None:
    earlier = heard_of_fragment(fragment, one)
    later = heard_of_fragment(fragment, one + more)
    assert later.startswith(earlier)
    assert fragment.text.startswith(later)


@given(fragment=FRAGMENT, sample=st.integers(0, 300_000))
def test_a_word_that_did_not_finish_was_not_heard(fragment: SpokenFragment, sample: int) -> None:
    heard = heard_of_fragment(fragment, sample)
    assert heard.split() == fragment.text.split()[: len(heard.split())]
    if fragment.complete and sample < fragment.samples:
        assert len(heard) <= len(fragment.text) * sample / fragment.samples


@given(text=CHINESE, samples=st.integers(1, 200_000), sample=st.integers(0, 300_000))
def test_in_chinese_every_character_is_a_word(text: str, samples: int, sample: int) -> None:
    heard = heard_of_fragment(SpokenFragment(text, samples, complete=True), sample)
    assert len(heard) == int(len(text) * min(1.0, sample / samples))
    assert text.startswith(heard)


@pytest.mark.parametrize(
    ("text", "share", "heard"),
    [
        ("Absolutely", 0.9, ""),
        ("我用iPhone打电话", 0.5, "我用"),
        ("我用iPhone打电话", 0.85, "我用iPhone打"),
        ("안녕하세요 여러분", 0.4, ""),
        ("안녕하세요 여러분", 0.7, "안녕하세요"),
    ],
)
def test_a_word_is_what_stands_between_spaces_or_one_character_of_a_script_without_them(
    text: str, share: float, heard: str
) -> None:
    assert heard_of_fragment(SpokenFragment(text, 48_000, complete=True), int(48_000 * share)) == heard


@given(parts=st.lists(FRAGMENT, min_size=1, max_size=4), at=st.integers(0, 4), sample=st.integers(0, 300_000))
def test_a_turn_is_what_came_before_the_cursors_fragment_and_what_was_heard_of_it(
    parts: list[SpokenFragment], at: int, sample: int
) -> None:
    heard = heard_of_turn(parts, at, sample)
    assert heard.startswith(" ".join(part.text for part in parts[:at]))
    assert " ".join(part.text for part in parts).startswith(heard)


@pytest.mark.parametrize(
    ("sample", "heard"),
    [(0, ""), (1_000, ""), (4_999, ""), (5_000, "Hello"), (11_999, "Hello"), (12_000, "Hello there,"), (16_000, None)],
)
def test_words_sound_as_long_as_they_are_written(sample: int, heard: str | None) -> None:
    text = "Hello there, you"
    spoken = SpokenFragment(text, 16_000, complete=True)
    assert heard_of_fragment(spoken, sample) == (text if heard is None else heard)


def test_an_interruption_within_the_first_word_leaves_nothing() -> None:
    assert heard_of_fragment(SpokenFragment("Certainly not", 13_000, complete=True), 3_000) == ""


def test_a_fragment_still_in_the_making_is_not_taken_for_whole_because_little_of_it_exists() -> None:
    fragment = SpokenFragment("One two three four", samples=9_600)
    assert heard_of_fragment(fragment, 9_600) == "One"
    fragment.complete = True
    assert heard_of_fragment(fragment, 9_600) == "One two three four"


def test_a_fragment_without_sound_was_not_heard() -> None:
    assert heard_of_fragment(SpokenFragment("", 0), 100) == ""
    assert heard_of_fragment(SpokenFragment("…", 0, complete=True), 0) == ""


def test_a_cursor_beyond_the_last_fragment_has_heard_all() -> None:
    fragments = [SpokenFragment("One.", 100, True), SpokenFragment("Two.", 100, True)]
    assert heard_of_turn(fragments, 2, 0) == "One. Two."


def test_full_width_punctuation_needs_no_space_behind_it() -> None:
    assert join_fragments(["你好，", "世界。", "Hi."]) == "你好，世界。Hi."
    assert join_fragments(["One,", "two."]) == "One, two."
    assert join_fragments([]) == ""

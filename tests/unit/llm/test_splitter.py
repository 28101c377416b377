"""The sentence splitter: where it cuts, and that the cut of the tokens cannot matter."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.llm.splitter import HARD_CHARS, LONG_CHARS, SentenceSplitter

NEVER_SOFT = 10_000


def split(deltas: Iterable[str], first_fragment_min_chars: int = NEVER_SOFT) -> list[str]:
    splitter = SentenceSplitter(first_fragment_min_chars)
    fragments = [fragment for delta in deltas for fragment in splitter.feed(delta)]
    return fragments + splitter.flush()


def visible(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("你好。世界！3.14 is pi. Ok?", ["你好。", "世界！", "3.14 is pi.", "Ok?"]),
        ("“你好。”他说。", ["“你好。”", "他说。"]),
        ('他说。"你好。"然后', ["他说。", '"你好。"', "然后"]),
        ('He said. "Hi." Then', ["He said.", '"Hi."', "Then"]),
        ("真的吗？！好吧……走", ["真的吗？！", "好吧……", "走"]),
        ("One line\nanother", ["One line", "another"]),
        ("Use e.g. apples, i.e. fruit.", ["Use e.g. apples, i.e. fruit."]),
        ("The U.S. Army. Ask Mr. J. Smith.", ["The U.S. Army.", "Ask Mr. J. Smith."]),
        ("Pears etc. and plums etc. Then", ["Pears etc. and plums etc.", "Then"]),
        ("No. I mean No. 5.", ["No.", "I mean No. 5."]),
        ("At 9 a.m. we met at 9 p.m. We left.", ["At 9 a.m. we met at 9 p.m.", "We left."]),
        ("It was I. Then", ["It was I.", "Then"]),
        ("1. Eat. 2. Drink.", ["1. Eat.", "2. Drink."]),
        ("It costs 42. Next", ["It costs 42.", "Next"]),
        ("See example.com. Or https://a.b/?q=1! Go", ["See example.com.", "Or https://a.b/?q=1!", "Go"]),
        ("Wait... what", ["Wait...", "what"]),
        ("wait...what", ["wait...what"]),
        ("**Bold.** Next", ["**Bold.**", "Next"]),
        ("Hello.你好", ["Hello.", "你好"]),
        ("Nice.😀 Next", ["Nice.", "😀 Next"]),
        ("(He left.) She stayed", ["(He left.)", "She stayed"]),
        ("  \n \n", []),
    ],
)
def test_text_is_cut_where_a_sentence_ends(text: str, fragments: list[str]) -> None:
    assert split([text]) == fragments


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (
            "Well, my dear friend, how are you? Fine, I think, yes.",
            ["Well, my dear friend,", "how are you?", "Fine, I think, yes."],
        ),
        ("我今天很高兴地告诉大家一件事，明天放假，真的。", ["我今天很高兴地告诉大家一件事，", "明天放假，真的。"]),
        (
            "It was a long day—and night. Ok, then it ended, so.",
            ["It was a long day—", "and night.", "Ok, then it ended, so."],
        ),
        ("I have paid $1,000,000 at 12:30 today.", ["I have paid $1,000,000 at 12:30 today."]),
        ("Fruits I like, e.g., apples", ["Fruits I like,", "e.g., apples"]),
    ],
)
def test_only_the_first_fragment_breaks_at_a_soft_mark(text: str, fragments: list[str]) -> None:
    assert split([text], first_fragment_min_chars=12) == fragments


def test_the_first_fragment_of_the_next_turn_may_break_softly_again() -> None:
    splitter = SentenceSplitter(4)
    assert splitter.feed("Hello, you. ") + splitter.flush() == ["Hello,", "you."]
    assert splitter.feed("Again, you. ") + splitter.flush() == ["Again,", "you."]


def test_a_sentence_is_out_as_soon_as_the_character_after_it_is_known() -> None:
    splitter = SentenceSplitter(NEVER_SOFT)
    assert splitter.feed("你好。") == []
    assert splitter.feed("世") == ["你好。"]
    assert splitter.feed("界\n") == ["世界"]
    assert splitter.feed("Yes.") == []
    assert splitter.feed(" ") == ["Yes."]


def test_text_without_marks_is_cut_between_words() -> None:
    words = "word " * 400
    fragments = split([words])
    assert all(len(fragment) <= LONG_CHARS + len("word ") for fragment in fragments)
    assert all(set(fragment.split()) == {"word"} for fragment in fragments)


def test_text_without_spaces_is_cut_at_the_hard_limit() -> None:
    assert [len(fragment) for fragment in split(["x" * 700])] == [HARD_CHARS, HARD_CHARS, 100]


def test_a_minimum_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="first_fragment_min_chars must be at least 1"):
        SentenceSplitter(0)


@pytest.mark.parametrize(
    "text",
    [
        "3.14. A",
        'e.g. "a." b',
        "你。”！A.",
        "etc. A. b.",
        "a, b—c. D",
        "1. A... b",
        "U.S. a?!",
        "a。\n\n.b",
        "No. 5. I.",
    ],
)
def test_every_chopping_of_a_short_text_gives_the_same_fragments(text: str) -> None:
    whole = split([text], first_fragment_min_chars=1)
    positions = range(1, len(text))
    for count in range(len(text)):
        for cuts in combinations(positions, count):
            deltas = [text[start:end] for start, end in zip((0, *cuts), (*cuts, len(text)), strict=True)]
            assert split(deltas, first_fragment_min_chars=1) == whole


TRICKY = st.one_of(
    st.sampled_from(
        [*"。！？!?….,;:，；：、—\n\r \t\"'”’」）)]*_`~", "e.g.", "U.S.", "etc.", "No.", "Mr.", "3.14", "1."]
    ),
    st.sampled_from([*"aAIb59你好“「(", "😀", "👨‍👩‍👧", "://", "x.y", "\u2028", "\u3000", "\x1c"]),
    st.text(max_size=3),
)


@given(st.lists(TRICKY, max_size=60), st.randoms(use_true_random=False), st.integers(1, 30))
def test_any_chopping_of_any_text_gives_the_same_fragments(pieces: list[str], random, first_min: int) -> None:  # type: ignore[no-untyped-def]
    text = "".join(pieces)
    cuts = sorted(random.choices(range(len(text) + 1), k=random.randrange(20)))
    deltas = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(deltas, first_min) == split([text], first_min)


@given(st.lists(TRICKY, max_size=200), st.integers(1, 30))
def test_no_visible_character_is_lost_and_no_fragment_is_blank_or_endless(pieces: list[str], first_min: int) -> None:
    text = "".join(pieces)
    fragments = split([text], first_min)
    assert visible("".join(fragments)) == visible(text)
    assert all(fragment == fragment.strip() != "" and len(fragment) <= HARD_CHARS for fragment in fragments)

"""What is said aloud of marked-up text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.llm.speakable import ThinkFilter, speakable


@pytest.mark.parametrize(
    ("fragment", "spoken"),
    [
        ("Plain text, it's fine.", "Plain text, it's fine."),
        ("**Bold**, _it_ and `code`.", "Bold, it and code."),
        ("## Title", "Title"),
        ("- item one", "item one"),
        ("> quoted", "quoted"),
        ("1. Eat *this* now", "1. Eat this now"),
        ("[see](http://a.b/c?d=1) that", "see that"),
        ("![a cat](cat.png)", "a cat"),
        ("[see.", "see."),
        ("this](http://x.y)", "this"),
        ("Go to https://www.example.com/a/b?x=1.", "Go to example.com."),
        ("请看https://a.com/b。", "请看a.com。"),
        ("👨‍👩‍👧 Hi 🇩🇪 1️⃣ one ❤️", "Hi one"),
        ("Nice 😀!", "Nice!"),
        ("3 * 4 = 12 and 3*4", "3 * 4 = 12 and 3*4"),
        ("snake_case", "snake case"),
        ("<b>x</b> 5 < 6 &amp; a", "x 5 < 6 & a"),
        ("“你好。", "你好。"),
        ('"Hi there.', "Hi there."),
        ('"Hi there."', '"Hi there."'),
        ("a) fine", "a fine"),
        ("C# and F#", "C# and F#"),
        ("It is ten.<|im_end|>", "It is ten."),
        ("[TOOL_CALLS] ok", "ok"),
    ],
)
def test_markup_is_not_read_out(fragment: str, spoken: str) -> None:
    assert speakable(fragment) == spoken


@pytest.mark.parametrize("fragment", ["", "---", "* * *", "```python", "!?", "😀🎉", "”", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "5️⃣"])
def test_a_fragment_without_words_is_skipped(fragment: str) -> None:
    assert speakable(fragment) == ""


@given(st.text(max_size=80))
def test_whatever_is_spoken_has_words(text: str) -> None:
    spoken = speakable(text)
    assert spoken == "" or any(char.isalnum() for char in spoken)


@given(st.lists(st.sampled_from(["👍🏽", "👨‍👩‍👧", "🇫🇷", "7️⃣", "❤️", "😀", "↗️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]), min_size=1))
def test_emoji_leave_only_the_words_around_them(emoji: list[str]) -> None:
    assert speakable("so " + "".join(emoji) + " it is") == "so it is"


def think(deltas: list[str]) -> str:
    thinking = ThinkFilter()
    return "".join(thinking.feed(delta) for delta in deltas) + thinking.flush()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("<think>hm. no.</think>Yes.", "Yes."),
        ("a < b <Think>x < y</th</THINK> c", "a < b  c"),
        ("<thinking>x</thinking>y", "y"),
        ("stray</think> close", "stray close"),
        ("never <think>ends", "never "),
        ("a <thi", "a <thi"),
        ("<<think>x</think>y", "<y"),
        ('One moment. <tool_call>{"name": "clock"}</tool_call> It is ten.', "One moment.  It is ten."),
    ],
)
def test_thoughts_are_dropped_wherever_the_tokens_were_cut(text: str, spoken: str) -> None:
    assert think([text]) == think(list(text)) == spoken


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<thi", "<", "/", ">", "nk>", "a ", "</", "think"]), max_size=20),
    st.integers(1, 7),
)
def test_the_think_filter_does_not_depend_on_the_chopping(pieces: list[str], size: int) -> None:
    text = "".join(pieces)
    assert think([text[start : start + size] for start in range(0, len(text), size)]) == think([text])

"""What is said aloud of marked-up text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.llm.speakable import speakable


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
        ("It is ten.<｜end▁of▁sentence｜>", "It is ten."),
        ("Models write `<think>` first, and `</think>` last.", "Models write think first, and /think last."),
        ("Models write <think> first.", "Models write first."),
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

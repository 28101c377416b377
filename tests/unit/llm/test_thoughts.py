"""What a model writes for itself or for a program is not said; what it writes for its listener is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentalking.llm.thoughts import Habit, ThinkFilter


def said(deltas: list[str], habit: Habit | None = None) -> str:
    thoughts, given = ThinkFilter(habit), ""
    for delta in deltas:
        more = thoughts.feed(delta)
        given = more if thoughts.took_back() else given + more
    return given + thoughts.flush()


def at_once(text: str) -> str:
    """What of a text is said before it is known that no more follows."""
    return ThinkFilter().feed(text)


CALL = '{"name": "clock", "arguments": {"zone": "a } \\" ] b"}}'

UNSAID = [
    "<think>hm. no.</think>",
    "<Think>x < y</th</THINK>",
    "<thinking>x</thinking>",
    "<thought>x</thought>",
    "<think >x</think >",
    '<think lang="en" x=1>x</think>',
    "<seed:think>x</seed:think>",
    "<think>a<think>b</think>c</think>",
    "<think>it ends with `</think>`, says he</think>",
    "<think>`code`</think>",
    "<think>\n<tool_call>\n</think>",
    "[THINK]x[/THINK]",
    "◁think▷x◁/think▷",
    "<|begin_of_thought|>x<|end_of_thought|>",
    f"<tool_call>{CALL}</tool_call>",
    f"<tool_call>\n{CALL}\n</tool_call>",
    f"<tool_call>{CALL}",
    "<tool_call>\n<function=clock>\n<parameter=zone>\n[1]\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>clock\n<arg_key>zone</arg_key>\n<arg_value>[1]</arg_value>\n</tool_call>",
    '<function=clock>{"zone": 1}',
    '<function=clock>{"zone": 1}</function>',
    '<function_calls>\n<invoke name="clock">\n<parameter name="zone">1</parameter>\n</invoke>\n</function_calls>',
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="clock">\n<｜DSML｜parameter name="zone">1</｜DSML｜parameter>\n'
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
    f"[TOOL_CALLS][{CALL}, {CALL}]",
    f"[TOOL_CALLS] [{CALL}]",
    '[TOOL_CALLS]clock[ARGS]{"zone": 1}[TOOL_CALLS]clock[CALL_ID]a1b2[ARGS]{"zone": 2}',
    f"<|tool_call|>[{CALL}]<|/tool_call|>",
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>clock\n```json\n{"zone": 1}\n```'
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.clock:0<|tool_call_argument_begin|>{"zone": 1}'
    "<|tool_call_end|><|tool_calls_section_end|>",
    '<|python_tag|>clock.call(zone="a")<|eom_id|>',
    f"<|python_tag|>{CALL}<|eot_id|>",
    CALL,
    f"[{CALL}, {CALL}]",
    '{"type": "function", "function": {"name": "clock"}, "parameters": {}}',
]


@pytest.mark.parametrize("unsaid", UNSAID)
@pytest.mark.parametrize("before", ["", "One moment.\n", " \n"])
def test_thoughts_and_calls_are_left_out_and_what_follows_is_said(unsaid: str, before: str) -> None:
    text = f"{before}{unsaid}It is ten."
    assert at_once(text) == said([text]) == said(list(text))
    assert at_once(text).split() == f"{before}It is ten.".split()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (f"One moment. <tool_call>{CALL}</tool_call> It is ten.", "One moment.  It is ten."),
        (f"One moment. [TOOL_CALLS][{CALL}] It is ten.", "One moment.  It is ten."),
        ("Well. <think>\nhm\n</think>\nYes.", "Well. \nYes."),
        ("stray</think> close", "stray close"),
        ("never\n<think>ends", "never\n"),
        ("<tool_call>", ""),
        ('{"name": "clock", "arguments": {"zo', ""),
        ("a <thi", "a <thi"),
        ("[", "["),
        ("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>", "Yes."),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.clock "
            '<|constrain|>json<|message|>{"zone":1}<|call|>',
            "",
        ),
        ("<|start|>assistant<|message|>Yes.<|end|>", "Yes."),
        ("It writes <|channel|>analysis first. Then it says more.", "It writes analysis first. Then it says more."),
        ("<think>I open <think> once more.</think>Yes. It is.", "Yes. It is."),  # said, if late
    ],
)
def test_where_it_stands_decides_what_a_mark_is(text: str, spoken: str) -> None:
    assert said([text]) == said(list(text)) == spoken


PLAIN = [
    "Models write `<think>` first. Then comes the answer. All of it.",
    "Models write <think> first. Then comes the answer, </b>. All of it.",
    "`<think>` opens a thought, ``a ` <tool_call>{`` a call.\nThat is all.",
    "```\n<think>\nhm\n</think>\n<tool_call>{\n```\nThat is how it looks.",
    '~~~json\n{"name": "clock", "arguments": {}}\n~~~\nThat is how it looks.',
    "Use <tool_call> for a call and <function=f> for Llama's. Or [TOOL_CALLS] and <|python_tag|> elsewhere.",
    "<tool_call> is what Qwen writes.",
    "- <think>: begins a thought\n- [THINK]: too",
    '{"city": "Paris"}\nThat is it.',
    "{name}, hello. {} [] [1] [see](http://a.b) {{x}}",
    "[ {x} ] and [T] and [TOO",
    "a < b <c> 1 <3 <= <- <</ <b>x</b> <|x|> <|unknown|> ◁ ◁x",
    "Use `x < y`.\n<b>Really</b>",
    "It`s <fine>. ```oops",
    '{"a": "unfinished',
]


@pytest.mark.parametrize("text", PLAIN)
def test_writing_about_marks_is_said(text: str) -> None:
    assert said([text]) == said(list(text)) == text


@given(st.text(alphabet=st.characters(exclude_characters="<[◁{"), max_size=300))
def test_text_without_the_beginning_of_a_mark_goes_on_at_once(text: str) -> None:
    assert at_once(text) == text


@given(
    st.lists(
        st.sampled_from(["<b>", "a ", "[x](y)", "{z}", "`<think>`", "\n", "1 < 2. ", "你好。", "<br/>"]), max_size=30
    )
)
def test_ordinary_text_is_whole_and_hardly_held(pieces: list[str]) -> None:
    text = "".join(pieces)
    thoughts = ThinkFilter()
    came = thoughts.feed(text)
    assert came + thoughts.flush() == text
    assert len(text) - len(came) <= 8


MARKS = [
    *("<think>", "</think>", "<think ", "<thi", "<", "/", ">", "nk>", "</", "think", "[THINK]", "[/THINK]", "◁think▷"),
    *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<function=f>", "<|python_tag|>", "<|channel|>", "<|message|>"),
    *(
        "analysis",
        "final",
        "<|end|>",
        "<|start|>",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        "[",
        "]",
        "{",
        "}",
    ),
    *('"name":', '"arguments":', '"', "\\", "`", "```", "~~~", "\n", " ", "a", "Word. ", "<|", "|>"),
]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(MARKS), max_size=40), st.randoms(use_true_random=False), st.booleans())
def test_it_does_not_matter_where_the_tokens_were_cut(pieces: list[str], random: object, thinks: bool) -> None:
    text, deltas, start = "".join(pieces), [], 0
    while start < len(text):
        size = random.choice((1, 2, 3, 7, 20))  # type: ignore[attr-defined]
        deltas.append(text[start : start + size])
        start += size
    habits = Habit(thinks), Habit(thinks)
    assert said(deltas, habits[0]) == said([text], habits[1])
    assert habits[0] == habits[1]


@given(st.sampled_from(UNSAID), st.lists(st.integers(1, 9), min_size=60))
def test_a_thought_is_a_thought_however_its_tokens_were_cut(unsaid: str, sizes: list[int]) -> None:
    text, deltas = f"{unsaid}Yes.", []
    for size in sizes:
        deltas.append(text[:size])
        text = text[size:]
    assert said([*deltas, text]).strip() == "Yes."


def test_a_reply_that_begins_within_a_thought_takes_it_back_and_teaches_that_the_next_ones_do() -> None:
    habit = Habit()
    assert said(["Okay, the user", " says hi.\n</think>\n\nHi!"], habit) == "\n\nHi!"
    assert habit.begins_thinking
    assert said(["Okay, again.\n</think>\n\nHi again!"], habit) == "\n\nHi again!"
    assert said(["<think>Okay.</think>Hi."], habit) == "Hi."
    assert habit.begins_thinking
    assert said(["No thought", " this time."], habit) == "No thought this time."
    assert not habit.begins_thinking


@pytest.mark.parametrize(
    "reply",
    ["It ends with </think>, always.", "`</think>`\nends it.", "Write <think> and\n</think>\nYes.", "</think>Yes."],
)
def test_an_end_that_is_spoken_of_teaches_nothing(reply: str) -> None:
    habit = Habit()
    said([reply], habit)
    assert not habit.begins_thinking


@pytest.mark.parametrize(("reply", "cut_off"), [("<think>Hm", True), ("<think>Hm</think>", False), ("Hm", False)])
def test_a_reply_that_ended_within_a_thought_is_known(reply: str, cut_off: bool) -> None:
    thoughts = ThinkFilter()
    assert thoughts.feed(reply) + thoughts.flush() == ("Hm" if reply == "Hm" else "")
    assert thoughts.cut_off == cut_off

"""The marks around what a model writes for itself or for a program, in the spellings of open models.

    thoughts   <think>…</think> (thinking, thought, reasoning; with attributes, a prefix), [THINK]…[/THINK],
               ◁think▷…◁/think▷, <|begin_of_thought|>…<|end_of_thought|>
    calls      <tool_call>…</tool_call> (tool_calls, function_calls, invoke, …), <function=clock>{…}, [TOOL_CALLS][{…}],
               <|tool_call|>[…], <｜DSML｜invoke …>…, and bare: {"name": "clock", "arguments": {…}}
    sections   <｜tool▁calls▁begin｜>…<｜tool▁calls▁end｜> (DeepSeek), <|tool_calls_section_begin|>… (Kimi)
    the rest   <|python_tag|>… (Llama)
    channels   <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>… (gpt-oss)

`judge` says what a text that begins like one of them is, or may still become.
"""

from __future__ import annotations

import re
from enum import Enum, auto

STARTS = frozenset("<[◁")

_PREFIX = r"(?:[a-z]\w{0,19}:|[|｜]DSML[|｜])?"
_NAMES = (
    r"(?:(?P<thought>think|thinking|thoughts?|reasoning)"
    r"|(?P<call>tool_calls?|tool_response|tool_code|tool_use|function_calls?|function|invoke))(?:=[\w.:-]{1,64})?"
)
_TAG = re.compile(rf"<(?P<end>/)?{_PREFIX}{_NAMES}(?:\s[^<>\n]{{0,200}})?>", re.IGNORECASE | re.ASCII)
_TAG_SO_FAR = re.compile(
    rf"<(?:/|/?[a-z][\w:.=-]{{0,90}}|/?[|｜]\w{{0,4}}[|｜]?[\w=.:-]{{0,90}}|/?{_PREFIX}{_NAMES}\s[^<>\n]{{0,200}})?",
    re.IGNORECASE | re.ASCII,
)
_TOKEN = re.compile(r"<[|｜](/?[\w▁ -]{1,40})[|｜]>", re.ASCII)
_TOKEN_SO_FAR = re.compile(r"<[|｜]/?[\w▁ -]{0,40}[|｜]?", re.ASCII)
_SECTION = re.compile(r"tools?_(?:calls?|outputs?)_(?:section_)?(begin|end)")

_CALL_NAME = re.compile(r'"(?:name|function|tool|tool_name|action)"\s*:')
_CALL_ARGUMENTS = re.compile(r'"(?:arguments|parameters|args|kwargs|input|action_input)"\s*:')


class Sign(Enum):
    """What a text is. NONE: no mark. MAYBE: not yet known."""

    NONE = auto()
    MAYBE = auto()
    THOUGHT = auto()
    THOUGHT_END = auto()
    CALL = auto()
    CALL_END = auto()
    SECTION = auto()
    SECTION_END = auto()
    REST = auto()  # what follows is a call, to the end of the message
    HEADER = auto()  # says in which channel the message that follows is
    BODY = auto()
    END = auto()  # of a message


_EXACT = {
    "[THINK]": Sign.THOUGHT,
    "[/THINK]": Sign.THOUGHT_END,
    "◁think▷": Sign.THOUGHT,
    "◁/think▷": Sign.THOUGHT_END,
    "[TOOL_CALLS]": Sign.CALL,
}
_TOKENS = {
    "begin_of_thought": Sign.THOUGHT,
    "end_of_thought": Sign.THOUGHT_END,
    "tool_call": Sign.CALL,
    "/tool_call": Sign.CALL_END,
    "python_tag": Sign.REST,
    "channel": Sign.HEADER,
    "start": Sign.HEADER,
    "message": Sign.BODY,
    **dict.fromkeys(("end", "return", "call", "eom_id", "eot_id", "im_end", "end_of_sentence"), Sign.END),
}


def judge(text: str) -> Sign:
    """Of a text that begins with one of STARTS. At most 300 characters are MAYBE."""
    if (exact := _EXACT.get(text)) is not None:
        return exact
    if any(mark.startswith(text) for mark in _EXACT):
        return Sign.MAYBE
    if (tag := _TAG.fullmatch(text)) is not None:
        if tag["thought"]:
            return Sign.THOUGHT_END if tag["end"] else Sign.THOUGHT
        return Sign.CALL_END if tag["end"] else Sign.CALL
    if (token := _TOKEN.fullmatch(text)) is not None:
        name = token[1].replace("▁", "_")
        if (section := _SECTION.fullmatch(name)) is not None:
            return Sign.SECTION if section[1] == "begin" else Sign.SECTION_END
        return _TOKENS.get(name, Sign.NONE)
    return Sign.MAYBE if _TAG_SO_FAR.fullmatch(text) or _TOKEN_SO_FAR.fullmatch(text) else Sign.NONE


def is_call(text: str) -> bool:
    """Whether JSON, perhaps cut short, is the call of a tool."""
    return _CALL_NAME.search(text) is not None and _CALL_ARGUMENTS.search(text) is not None


class JsonSpan:
    """Finds where the JSON object or array ends that a text begins with, a character at a time."""

    def __init__(self, named: bool = False) -> None:
        """`named`: a name may come before, and words in brackets, as in `clock[ARGS]{…}`."""
        self._named = named
        self._depth = 0
        self._quoted = self._escaped = self._none = False
        self._before = ""

    def ends_with(self, char: str) -> bool:
        """Whether this character ends it."""
        before, self._before = self._before, char
        if self._none:
            return False
        if self._quoted:
            if self._escaped:
                self._escaped = False
            elif char == "\\":
                self._escaped = True
            elif char == '"':
                self._quoted = False
            return False
        if self._named and self._depth == 1 and before == "[" and char.isupper():
            self._depth = 0
        elif char in "{[":
            self._depth += 1
        elif self._depth == 0:
            self._none = not (self._named or char.isspace())
        elif char in "}]":
            self._depth -= 1
            return self._depth == 0
        elif char == '"':
            self._quoted = True
        return False

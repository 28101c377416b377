"""Drops from a model's stream what it writes for itself or for a program: its thoughts, and calls of tools.

It stands before the sentence splitter, because a thought spans sentences. It reads one character at a time and its
state depends on nothing but the characters read, so where the model's tokens were cut cannot matter. Text goes on at
once; only what begins like a mark (opentalking/llm/markers.py) is held until it is one or none.

Writing *about* such marks is not using them. In backticks and fenced code nothing is a mark. A thought begins a reply
or a line, or its mark ends the line; the mark of a call is followed by what can be a call. A thought that was opened
more often than closed cannot be told from one that mentions its own mark: what follows its last end is kept, and said
when the reply is over.

Some templates open the thought themselves, so that a reply begins in the midst of it. Such a reply is only known by an
end without a beginning: what was given until then is taken back (`took_back`), as far as it still can be; from then on
(`Habit`) the model's replies are held until that end.
"""

from __future__ import annotations

from dataclasses import dataclass

from opentalking.llm.code import NEWLINES, CodeSpans
from opentalking.llm.markers import STARTS, JsonSpan, Sign, is_call, judge

_LONGEST_JSON = 4000  # characters that are held to see whether they are a call
_LONGEST_HEADER = 100
_END_OF = {
    Sign.THOUGHT: Sign.THOUGHT_END,
    Sign.CALL: Sign.CALL_END,
    Sign.SECTION: Sign.SECTION_END,
    Sign.REST: Sign.END,
}


@dataclass(slots=True)
class Habit:
    """What is known of a model. `begins_thinking`: its replies begin within a thought."""

    begins_thinking: bool = False


@dataclass(slots=True)
class _Block:
    """What is not said. `kind`: THOUGHT, CALL, SECTION, REST, HEADER, or BODY for a message in a channel of its own."""

    kind: Sign
    depth: int = 1
    json: JsonSpan | None = None  # whose end ends it, too
    kept: str | None = None  # said after all if the block never ends
    before: str = ""  # the last character
    quoted_end: bool = False  # an end was met behind a backtick


class ThinkFilter:
    """Of one reply. `feed` gives what of a delta can be said already, `flush` the rest."""

    def __init__(self, habit: Habit | None = None) -> None:
        """`habit`: of the model, and corrected here."""
        self._habit = habit or Habit()
        self.cut_off = False  # after `flush`: the reply ended within a thought
        self._back = False
        self._reset()

    def _reset(self) -> None:
        self._held = ""  # a possible mark, not yet decided
        self._met = Sign.NONE  # what is held is this mark, if what follows agrees
        self._json: JsonSpan | None = None  # what is held is JSON, and may be a call
        self._code = CodeSpans()
        self._block = _Block(Sign.THOUGHT, kept="") if self._habit.begins_thinking else None
        self._assumed = self._block is not None  # that it begins with a thought, and nothing has shown it yet
        self._said = self._mentioned = False

    def feed(self, delta: str) -> str:
        said = ""
        for char in delta:
            before, self._back = self._back, False
            more = self._step(char)
            said = more if self._back else said + more
            self._back |= before
        return said

    def took_back(self) -> bool:
        """Whether all that was given before the newest `feed` was a thought."""
        back, self._back = self._back, False
        return back

    def flush(self) -> str:
        """What was held back; a thought or a call that never ended stays unsaid."""
        block, held = self._block, self._held
        if block is not None:
            rest = block.kept + held if block.kind is Sign.THOUGHT and block.kept is not None else ""
            self.cut_off = block.kind is Sign.THOUGHT and not rest
            self._habit.begins_thinking &= not self._assumed
        elif self._json is not None:
            rest = "" if is_call(held) else held
        else:
            rest = "" if self._met in (Sign.CALL, Sign.REST, Sign.THOUGHT_END) else held
        self._reset()
        return rest

    def _step(self, char: str) -> str:
        if self._block is not None:
            return self._skip(self._block, char)
        if self._json is not None:
            return self._hold_json(self._json, char)
        if self._met is not Sign.NONE:
            return self._decide(char)
        if not self._held:
            if self._code.within(char):
                return self._say(char)
            if char == "{" and self._code.line_is_blank:
                return self._begin_json(char)
            if char not in STARTS:
                return self._say(char)
        held = self._held + char
        if held[0] == "[" and self._code.line_is_blank and (inner := held[1:].lstrip()) in ("", "{"):
            return self._begin_json(held) if inner else self._hold(held)
        sign = judge(held)
        if sign is Sign.MAYBE:
            return self._hold(held)
        self._held = ""
        if sign is Sign.NONE:  # no mark, but one may begin within
            return self._say(held[0]) + "".join(map(self._step, held[1:]))
        return self._mark(sign, held)

    def _hold(self, text: str) -> str:
        self._held = text
        return ""

    def _say(self, text: str) -> str:
        for char in text:
            self._code.within(char)
            self._code.read(char)
        self._said = self._said or not text.isspace()
        return text

    # --- marks

    def _mark(self, sign: Sign, text: str) -> str:
        """A mark in what is said."""
        if sign in (Sign.SECTION, Sign.HEADER) or (sign is Sign.THOUGHT and self._code.line_is_blank):
            self._open(sign)
        elif sign is Sign.THOUGHT_END and self._code.line_is_blank:
            self._meet_stray_end()
        elif sign in (Sign.THOUGHT, Sign.THOUGHT_END, Sign.CALL, Sign.REST):
            self._met, self._held = sign, text
        return ""  # the ends of other things, without their beginnings

    def _decide(self, char: str) -> str:
        """What follows a mark says whether it is used or only mentioned."""
        sign, held = self._met, self._held
        newline = char in NEWLINES
        if sign in (Sign.CALL, Sign.REST):
            if char in " \t":
                return self._hold(held + char)
            named = (char.isalnum() or char == "_") and (self._code.line_is_blank or held[:2] in ("<|", "[T"))
            used = newline or char in "{[<" or (named and not held[-1].isspace())
        else:
            used = newline
        self._met, self._held = Sign.NONE, ""
        if used and sign is Sign.THOUGHT_END:
            self._meet_stray_end()
        elif used:
            self._open(sign, named=not held.startswith("<") or held.startswith("<|"))
        elif sign is not Sign.THOUGHT_END:
            self._mentioned = self._mentioned or sign is Sign.THOUGHT
            return self._say(held) + self._step(char)
        return self._step(char)

    def _meet_stray_end(self) -> None:
        """Of a thought that did not begin: with the reply, then."""
        if self._said and not self._mentioned:
            self._habit.begins_thinking = self._back = True

    def _open(self, kind: Sign, named: bool = False) -> None:
        self._block = _Block(kind, json=JsonSpan(named) if kind is Sign.CALL else None)
        if kind is Sign.HEADER:
            self._block.kept = ""

    # --- JSON at the beginning of a line

    def _begin_json(self, text: str) -> str:
        self._json = JsonSpan()
        for char in text:
            self._json.ends_with(char)
        return self._hold(text)

    def _hold_json(self, json: JsonSpan, char: str) -> str:
        self._held += char
        ended, inner = json.ends_with(char), self._held.lstrip("[{ \t\n\r")
        if not ended and inner[:1] in ("", '"') and len(self._held) < _LONGEST_JSON:
            return ""
        held, self._held, self._json = self._held, "", None
        return "" if ended and is_call(held) else self._say(held)

    # --- what is not said

    def _skip(self, block: _Block, char: str) -> str:
        if block.quoted_end:
            block.quoted_end = False
            if char != "`":
                self._end_of(block)
                return self._step(char)
        held, self._held = self._held + char, ""
        sign = judge(held) if held[0] in STARTS else Sign.NONE
        if sign is Sign.MAYBE:
            return self._hold(held)
        if sign is Sign.NONE:
            said = self._pass_over(block, held[0])
            for later in held[1:]:
                said += self._step(later)
            return said
        return self._mark_within(block, sign, held)

    def _pass_over(self, block: _Block, text: str) -> str:
        block.before = text[-1]
        if block.json is not None and block.depth == 1 and block.json.ends_with(text[-1]):
            return self._close()
        if block.kept is not None:
            block.kept += text
            prose = text in NEWLINES or block.kept.endswith((". ", ", ")) or len(block.kept) > _LONGEST_HEADER
            if block.kind is Sign.HEADER and prose:  # it was none
                self._block = None
                return self._say(block.kept)
        return ""

    def _mark_within(self, block: _Block, sign: Sign, text: str) -> str:
        if sign is Sign.HEADER and block.kind in (Sign.HEADER, Sign.BODY):
            self._open(Sign.HEADER)
        elif block.kind is Sign.HEADER and sign is Sign.BODY:
            channel = (block.kept or "").strip()
            if channel.startswith("final") or channel == "assistant":
                return self._close()
            self._block = _Block(Sign.BODY)
        elif block.kind in (Sign.HEADER, Sign.BODY) and sign is Sign.END:
            return self._close()
        elif sign is block.kind and block.before != "`":
            block.depth += 0 if self._assumed and not (block.kept or "").strip() else 1
        elif sign is _END_OF.get(block.kind) and block.before == "`":
            block.quoted_end = True
        elif sign is _END_OF.get(block.kind):
            return self._end_of(block)
        else:
            return self._pass_over(block, text)
        return ""

    def _end_of(self, block: _Block) -> str:
        block.depth -= 1
        self._assumed = False
        if block.depth == 0:
            return self._close()
        if block.kind is Sign.THOUGHT:
            block.kept = ""
        return ""

    def _close(self) -> str:
        self._block, self._held = None, ""
        self._code.line_is_blank = True  # what follows may be another
        return ""

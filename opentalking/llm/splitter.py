"""Cuts a stream of text deltas into fragments that can be spoken one by one.

The splitter reads one character at a time and its state depends on nothing but the characters read, so where the
model's tokens were cut cannot matter. A mark is judged when the character after it is known:

    mode        holds                         next character
    PLAIN       words                         a mark -> ENDING or SOFT
    ENDING      "…pi." ".”" "?!" "..."        more marks and closers stay; anything else decides: cut or PLAIN, or DOUBT
    DOUBT       "…etc. " "…No. "              first visible character decides: lower case or digit -> PLAIN, else cut
    SOFT        "Well, yes,"                  only in the turn's first fragment, so that speaking starts sooner

A newline cuts in every mode. Text without any mark is cut between words past `LONG_CHARS`.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto

LONG_CHARS = 220  # cut at the next space or comma from here
HARD_CHARS = 300  # cut wherever we are

_NEWLINES = frozenset("\n\r\u2028\u2029")
_STRONG = frozenset("。！？!?…｡؟।")
_ENDS = _STRONG | {"."}
_CLOSERS = frozenset("”’」』）》】〕〉］)]}'")
_SOFT = frozenset("，；：、,;:—")
_SOFT_NEEDS_SPACE = frozenset(",;:")  # not in 1,000 or 12:30
_EMPHASIS = frozenset("*_~`")

_NEVER_LAST = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "mt", "sgt", "capt", "lt", "col", "gen", "rev", "hon"}
    | {"e.g", "i.e", "cf", "vs", "viz", "al", "ph.d", "m.d", "b.sc", "m.sc"}
)
_BEFORE_NUMBER = frozenset(
    {"no", "nos", "fig", "figs", "vol", "p", "pp", "ch", "sec", "art", "eq", "approx", "ca"}
    | {"jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"}
)
_SOMETIMES_LAST = frozenset({"etc", "inc", "ltd", "co", "corp", "jr", "sr", "dept", "est", "bros", "a.m", "p.m"})
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_LIST_MARK = re.compile(r"[\W_]*(?:\d{1,3}|[A-Za-z]|[ivx]{1,4})")


class _Mode(Enum):
    PLAIN = auto()
    ENDING = auto()
    DOUBT = auto()
    SOFT = auto()


class SentenceSplitter:
    """Fragments of one turn. `feed` returns those that are complete, `flush` the rest; both strip outer space."""

    def __init__(self, first_fragment_min_chars: int) -> None:
        if first_fragment_min_chars < 1:
            raise ValueError("first_fragment_min_chars must be at least 1")
        self._first_min = first_fragment_min_chars
        self._reset()

    def feed(self, delta: str) -> list[str]:
        done: list[str] = []
        for char in delta:
            self._step(char, done)
        return done

    def flush(self) -> list[str]:
        """The unfinished rest; the splitter is then ready for the next turn."""
        done: list[str] = []
        self._cut(done)
        self._reset()
        return done

    def forget(self) -> None:
        """What was fed since the last fragment was not meant."""
        self._reset()

    def _reset(self) -> None:
        self._held = ""
        self._mark_at = 0  # where the run of marks starts, in ENDING and SOFT
        self._mode = _Mode.PLAIN
        self._quote_open = False
        self._spoken = False  # a fragment with words is out: soft marks no longer cut

    def _step(self, char: str, done: list[str]) -> None:
        if char in _NEWLINES:
            self._cut(done)
            self._quote_open = False
            return
        if self._mode is _Mode.DOUBT and not char.isspace():
            if char.islower() or char.isdigit():
                self._mode = _Mode.PLAIN
            else:
                self._cut(done)
        elif self._mode in (_Mode.ENDING, _Mode.SOFT) and not self._extends_run(char):
            self._decide(char, done)
        self._take(char, done)

    def _take(self, char: str, done: list[str]) -> None:
        """Append a character and enter the mode it opens."""
        if not self._held and char.isspace():
            return
        position = len(self._held)
        self._held += char
        if char == '"':
            self._quote_open = not self._quote_open
        if self._mode is _Mode.PLAIN and char in _ENDS:
            self._mark_at, self._mode = position, _Mode.ENDING
        elif self._mode is _Mode.PLAIN and char in _SOFT and self._may_break_softly(position):
            self._mark_at, self._mode = position, _Mode.SOFT
        self._keep_bounded(char, done)

    def _extends_run(self, char: str) -> bool:
        if char == '"':
            return self._quote_open
        if char in _EMPHASIS:  # closes what was opened in this fragment
            return char in self._held[: self._mark_at]
        if self._mode is _Mode.SOFT:
            return char in _CLOSERS or char == "—" == self._held[self._mark_at]
        return char in _ENDS or char in _CLOSERS

    def _decide(self, following: str, done: list[str]) -> None:
        """The run of marks is over; `following` is the first character after it."""
        if self._mode is _Mode.SOFT:
            if self._held[self._mark_at] not in _SOFT_NEEDS_SPACE or following.isspace():
                self._cut(done)
            self._mode = _Mode.PLAIN
            return
        before, run = self._held[: self._mark_at], self._held[self._mark_at :]
        token = _last_token(before)
        self._mode = _Mode.PLAIN
        if any(mark in _STRONG for mark in run):
            if not ("://" in token and run.isascii() and _continues_word(following)):
                self._cut(done)
            return
        if _continues_word(following):
            return
        verdict = _dot_verdict(before, token, run)
        if verdict is _Mode.DOUBT and following.isspace():
            self._mode = _Mode.DOUBT
        elif verdict is not _Mode.PLAIN:
            self._cut(done)

    def _may_break_softly(self, position: int) -> bool:
        return (
            not self._spoken
            and position >= self._first_min
            and not self._held[position - 1].isspace()
            and (self._held[position - 1] != ".")
        )

    def _keep_bounded(self, char: str, done: list[str]) -> None:
        length = len(self._held)
        if length >= HARD_CHARS or (length >= LONG_CHARS and (char.isspace() or char in _SOFT - _SOFT_NEEDS_SPACE)):
            self._cut(done)

    def _cut(self, done: list[str]) -> None:
        fragment = self._held.strip()
        self._held, self._mode = "", _Mode.PLAIN
        if fragment:
            done.append(fragment)
            self._spoken = self._spoken or any(map(str.isalnum, fragment))


def _last_token(text: str) -> str:
    words = text.rsplit(maxsplit=1)
    return words[-1].lstrip("([{\"'“‘（「『《【*_~`") if words and not text[-1].isspace() else ""


def _continues_word(char: str) -> bool:
    """Whether a dot before this character is inside a word: 3.14, example.com; not before 你 or an emoji."""
    return not (char.isspace() or unicodedata.category(char) in ("Lo", "So"))


def _dot_verdict(before: str, token: str, run: str) -> _Mode:
    """What a dot (and closers) after `token` is: ENDING ends the sentence, PLAIN does not, DOUBT: see what follows."""
    if run.count(".") > 1:
        return _Mode.ENDING  # an ellipsis
    if not before or _LIST_MARK.fullmatch(before):
        return _Mode.PLAIN
    word = token.lower()
    if word in _SOMETIMES_LAST or word in _BEFORE_NUMBER:
        return _Mode.DOUBT
    if word in _NEVER_LAST or (len(token) == 1 and token.isupper() and token != "I"):
        return _Mode.PLAIN
    if _ACRONYM.fullmatch(token):
        return _Mode.PLAIN if token.isupper() else _Mode.DOUBT
    return _Mode.ENDING

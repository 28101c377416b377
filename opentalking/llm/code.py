"""Code in a stream of Markdown: text in backticks, and between fences."""

from __future__ import annotations

NEWLINES = "\n\r"


class CodeSpans:
    """Read a character at a time. A span of code ends with its line at the latest."""

    def __init__(self) -> None:
        self.line_is_blank = True  # so far
        self._fence = ""  # the character that ends it
        self._span = 0  # backticks that end it
        self._run = ""
        self._run_begins_line = False

    def within(self, following: str) -> bool:
        """Whether this character, which comes next, is code."""
        if self._run and following != self._run[0]:
            self._end_run()
        return bool(self._fence or self._span)

    def read(self, char: str) -> None:
        """The next character; `within` was asked of it."""
        if char in "`~":
            if not self._run:
                self._run_begins_line = self.line_is_blank
            self._run += char
        elif char in NEWLINES:
            self._span = 0
        self.line_is_blank = char in NEWLINES or (self.line_is_blank and char.isspace())

    def _end_run(self) -> None:
        run, self._run = self._run, ""
        if self._run_begins_line and len(run) >= 3 and self._fence in ("", run[0]):
            self._fence = "" if self._fence else run[0]
        elif run[0] == "`" and not self._fence:
            self._span = 0 if self._span == len(run) else self._span or len(run)

"""A session's conversation as the listener knows it: what was asked, and what was heard of the answers.

    add_user("…") -> begin_assistant() -> (the reply streams and plays) -> commit_heard("…", interrupted)

The reply enters the history only when playout says how much of it was heard, and what enters is exactly that. A reply
that is never committed, or of which nothing was heard, leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from opentalking.llm.base import Message

CUT_MARK = " —"  # ends what was heard of an interrupted reply, so that the model knows it did not finish


_FORGET_SHARE = 4  # of the turns that are remembered, one in so many is forgotten when there are too many


class Entry(msgspec.Struct, frozen=True):
    """One remembered utterance, of the assistant's exactly what was heard; `interrupted` only there."""

    role: Literal["user", "assistant"]
    content: str
    interrupted: bool = False


class ConversationError(RuntimeError):
    """Calls came in an order that makes no conversation."""


class Conversation:
    """History of one session. `max_turns` bounds the finished turns that are remembered and sent along.

    `entries`: what an earlier process remembered.
    """

    def __init__(self, system_prompt: str, max_turns: int, entries: Iterable[Entry] = ()) -> None:
        self._system_prompt = system_prompt
        self._max_turns = max_turns
        self._entries = list(entries)
        self._awaiting_reply = False

    def add_user(self, text: str) -> None:
        self._awaiting_reply = False
        self._entries.append(Entry("user", text))
        self._forget_old()

    def begin_assistant(self) -> None:
        """A reply starts; a reply begun earlier and never committed was not heard."""
        self._awaiting_reply = True

    def commit_heard(self, text: str, interrupted: bool) -> None:
        """Remember what was heard of the reply that began last."""
        if not self._awaiting_reply:
            raise ConversationError("commit_heard without begin_assistant")
        self._awaiting_reply = False
        if heard := text.strip():
            self._entries.append(Entry("assistant", heard, interrupted))

    def entries(self) -> list[Entry]:
        return list(self._entries)

    def messages(self, *asked: str) -> list[Message]:
        """The request: system prompt, then user and assistant in turn (utterances of one side are joined).

        `asked`: a question as if it had been added.
        """
        messages = [Message("system", self._system_prompt)] if self._system_prompt else []
        for entry in (*self._entries, *(Entry("user", text) for text in asked)):
            content = entry.content + CUT_MARK if entry.interrupted else entry.content
            if messages and messages[-1].role == entry.role:
                messages[-1] = Message(entry.role, f"{messages[-1].content}\n{content}")
            else:
                messages.append(Message(entry.role, content))
        return messages

    def _forget_old(self) -> None:
        """Keep the newest question and at most `max_turns` turns before it; a turn starts at its question.

        Several at a time: a request that begins otherwise than the one before is read by the model from its beginning.
        """
        questions = [position for position, entry in enumerate(self._entries) if entry.role == "user"]
        surplus = len(questions) - 1 - self._max_turns
        if surplus > 0:
            at_once = max(surplus, self._max_turns // _FORGET_SHARE)
            del self._entries[: questions[at_once]]

"""A session's conversation as the listener knows it: what was asked, and what was heard of the answers.

    add_user("…") -> begin_assistant() -> (the reply streams and plays) -> commit_heard("…", interrupted)

The reply enters the history only when playout says how much of it was heard, and what enters is exactly that. A reply
that is never committed, or of which nothing was heard, leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from opentalking.llm.base import Message

CUT_MARK = " —"  # ends what was heard of an interrupted reply, so that the model knows it did not finish


_FORGET_SHARE = 4  # of what is remembered, one part in so many is forgotten when it is too much
_CHARACTERS_PER_TOKEN = 3  # of ASCII, few enough for short words; others count as a token each
_MESSAGE_TOKENS = 4  # what a template puts around a message


class Entry(msgspec.Struct, frozen=True):
    """One remembered utterance, of the assistant's exactly what was heard; `interrupted` only there."""

    role: Literal["user", "assistant"]
    content: str
    interrupted: bool = False


class ConversationError(RuntimeError):
    """Calls came in an order that makes no conversation."""


class Conversation:
    """History of one session. `max_turns` bounds the finished turns that are remembered and sent along, and
    `max_tokens` the request, as far as its tokens can be guessed.

    `entries`: what an earlier process remembered.
    """

    def __init__(
        self, system_prompt: str, max_turns: int, entries: Iterable[Entry] = (), max_tokens: int | None = None
    ) -> None:
        self._system_prompt = system_prompt
        self._max_turns = max_turns
        self._max_tokens = max_tokens
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

    def forget_half(self) -> bool:
        """Of what was said before the newest question, forget the older half, because it was too much for the model.
        False if there is nothing to forget."""
        if not (questions := self._questions()):
            return False
        newest = self._tokens(self._entries[questions[-1] :])
        return self._fit(newest + (self._tokens(self._entries) - newest) // 2)

    def _forget_old(self) -> None:
        """Keep the newest question and at most `max_turns` turns before it, and no more than fits.

        Several at a time: a request that begins otherwise than the one before is read by the model from its beginning.
        """
        questions = self._questions()
        surplus = len(questions) - 1 - self._max_turns
        if surplus > 0:
            at_once = max(surplus, self._max_turns // _FORGET_SHARE)
            del self._entries[: questions[at_once]]
        if self._max_tokens is not None and self._tokens(self._entries) > self._max_tokens:
            self._fit(self._max_tokens - self._max_tokens // _FORGET_SHARE)

    def _fit(self, max_tokens: int) -> bool:
        """Forget the oldest turns until the request fits, or is only the newest question. Whether any was forgotten."""
        questions = self._questions()
        first = next((at for at in questions if self._tokens(self._entries[at:]) <= max_tokens), questions[-1])
        del self._entries[:first]
        return first > 0

    def _questions(self) -> list[int]:
        """Where turns start."""
        return [position for position, entry in enumerate(self._entries) if entry.role == "user"]

    def _tokens(self, entries: Sequence[Entry]) -> int:
        """What a request with these takes, about."""
        texts = [self._system_prompt, *(entry.content for entry in entries)]
        return sum(map(tokens_of, texts)) + _MESSAGE_TOKENS * len(texts)


def tokens_of(text: str) -> int:
    """About how many tokens a text is."""
    wide = sum(not char.isascii() for char in text)
    return wide - (wide - len(text)) // _CHARACTERS_PER_TOKEN


def room_for_history(context_tokens: int, reply_tokens: int) -> int:
    """How long a request may be, tokens, so that the reply fits into the context, too; at least half of it."""
    return max(context_tokens - reply_tokens, context_tokens // 2)

"""The conversation remembers what was heard."""

from __future__ import annotations

from itertools import pairwise

import pytest

from opentalking.llm.base import Message
from opentalking.llm.conversation import Conversation, ConversationError, Entry


def turn(conversation: Conversation, question: str, heard: str, interrupted: bool = False) -> None:
    conversation.add_user(question)
    conversation.begin_assistant()
    conversation.commit_heard(heard, interrupted)


def test_a_reply_enters_the_history_as_it_was_heard() -> None:
    conversation = Conversation("Be kind.", 5)
    turn(conversation, "Hi", "Hello.")
    turn(conversation, "How far is the moon?", "The moon is", interrupted=True)
    assert conversation.messages() == [
        Message("system", "Be kind."),
        Message("user", "Hi"),
        Message("assistant", "Hello."),
        Message("user", "How far is the moon?"),
        Message("assistant", "The moon is —"),
    ]
    assert conversation.entries()[-1] == Entry("assistant", "The moon is", interrupted=True)


def test_a_reply_that_nobody_heard_leaves_no_trace() -> None:
    conversation = Conversation("", 5)
    conversation.add_user("one")
    conversation.begin_assistant()
    conversation.add_user("two")
    conversation.begin_assistant()
    conversation.commit_heard("  ", interrupted=True)
    conversation.add_user("three")
    assert conversation.messages() == [Message("user", "one\ntwo\nthree")]


def test_an_unfinished_reply_is_not_sent_along() -> None:
    conversation = Conversation("", 5)
    conversation.add_user("one")
    conversation.begin_assistant()
    assert conversation.messages() == [Message("user", "one")]


def test_turns_are_forgotten_several_at_a_time_so_that_most_requests_begin_like_the_one_before() -> None:
    conversation, begins = Conversation("s", max_turns=8), []
    for number in range(20):
        conversation.add_user(f"q{number}")
        begins.append(conversation.messages()[1].content.split("\n")[0])
        conversation.begin_assistant()
        conversation.commit_heard("a", interrupted=False)
    changes = sum(before != after for before, after in pairwise(begins))
    assert changes == 6, begins  # of 11 that would be
    assert [number for number, begin in enumerate(begins) if number - int(begin[1:]) > 8] == []


@pytest.mark.parametrize(
    ("max_turns", "questions"), [(0, ["q4"]), (2, ["q2", "q3", "q4"]), (9, ["q0", "q1", "q2", "q3", "q4"])]
)
def test_only_the_newest_turns_are_kept(max_turns: int, questions: list[str]) -> None:
    conversation = Conversation("s", max_turns)
    for number in range(4):
        turn(conversation, f"q{number}", f"a{number}")
    conversation.add_user("q4")
    assert [entry.content for entry in conversation.entries() if entry.role == "user"] == questions
    assert conversation.entries()[0].role == "user"


def test_committing_twice_is_an_error() -> None:
    conversation = Conversation("s", 2)
    turn(conversation, "q", "a")
    with pytest.raises(ConversationError, match="commit_heard without begin_assistant"):
        conversation.commit_heard("again", interrupted=False)

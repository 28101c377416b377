"""The conversation remembers what was heard."""

from __future__ import annotations

from itertools import pairwise

import pytest

from opentalking.llm.base import Message
from opentalking.llm.conversation import Conversation, ConversationError, Entry, room_for_history, tokens_of


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


def questions(conversation: Conversation) -> list[str]:
    return [entry.content[:2] for entry in conversation.entries() if entry.role == "user"]


def test_turns_that_do_not_fit_are_forgotten_several_at_a_time() -> None:
    conversation, begins = Conversation("s" * 40, 100, max_tokens=1000), []
    for number in range(10, 40):
        conversation.add_user(f"{number}" + "q" * 238)
        begins.append(questions(conversation)[0])
        request = conversation.messages()
        assert sum(tokens_of(message.content) for message in request) <= 1000
        conversation.begin_assistant()
        conversation.commit_heard("a" * 40, interrupted=False)
    assert begins[-1] > "10"
    assert len(set(begins)) < 12, begins  # of 22 that would be
    assert len(questions(conversation)) >= 6


def test_the_newest_question_is_kept_however_long_and_the_one_before_it_is_not() -> None:
    conversation = Conversation("s", 100, max_tokens=100)
    turn(conversation, "10", "a")
    conversation.add_user("11" + "q" * 4000)
    assert questions(conversation) == ["11"]
    conversation.begin_assistant()  # refused: nothing was heard
    conversation.add_user("12")
    assert questions(conversation) == ["12"]


def test_the_older_half_is_forgotten_when_the_model_says_that_it_is_too_much() -> None:
    conversation = Conversation("s", 100)
    for number in range(10, 18):
        turn(conversation, f"{number}" + "q" * 400, "a" * 40)
    conversation.add_user("99" + "q" * 4000)
    kept = []
    while conversation.forget_half():
        kept.append(len(questions(conversation)) - 1)
    assert kept == [4, 2, 1, 0]
    assert questions(conversation) == ["99"]


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("a", 1), ("abc", 1), ("abcd", 2), ("你好", 2), ("你好ab", 3)])
def test_tokens_are_guessed_by_the_script(text: str, tokens: int) -> None:
    assert tokens_of(text) == tokens


@pytest.mark.parametrize(("context", "reply", "room"), [(8192, 120, 8072), (8192, 8000, 4096), (4096, 32_768, 2048)])
def test_a_request_leaves_room_for_its_reply(context: int, reply: int, room: int) -> None:
    assert room_for_history(context, reply) == room

"""Subtitles follow the sound, and the model remembers what was heard, not what it wrote."""

from __future__ import annotations

import pytest

from opentalking.llm.conversation import CUT_MARK
from tests.integration.tones import MS_PER_CHARACTER, duration_ms, eventually, spoken
from tests.support.client import Client
from tests.support.llm_server import LLMServer

pytestmark = pytest.mark.integration


def dialogue(request: dict[str, object]) -> list[tuple[str, str]]:
    """Role and content of a request's messages, without the system prompt."""
    messages = request["messages"]
    assert isinstance(messages, list)
    return [(one["role"], one["content"]) for one in messages if one["role"] != "system"]


async def test_a_subtitle_appears_when_its_fragment_sounds_not_when_it_is_made(client: Client, llm: LLMServer) -> None:
    sentences = ["[440] First of these.", "[660] Second of these.", "[880] Third of these."]
    llm.reply = " ".join(sentences)
    await client.call("POST", "/chat", {"prompt": "Three sentences, please."})
    for number, text in enumerate(sentences):
        shown = await client.events.wait("subtitle.chunk", lambda data, n=number: data["fragment"] == n)
        heard = duration_ms(client.receiver.samples(), [440, 660, 880][number])
        assert shown["text"] == text
        assert heard < len(text) * MS_PER_CHARACTER / 2  # it begins; the decoder and the network are some ms apart
        if number:
            before = duration_ms(client.receiver.samples(), [440, 660, 880][number - 1])
            assert before > len(sentences[number - 1]) * MS_PER_CHARACTER / 2
    assert (await client.events.wait("speech.ended"))["text"] == llm.reply


async def test_an_answer_that_was_heard_to_its_end_is_remembered_whole(client: Client, llm: LLMServer) -> None:
    llm.reply = "[440] Paris. [440] Nothing else."
    await client.call("POST", "/chat", {"prompt": "Capital of France?"})
    await client.events.wait("speech.ended")
    await client.call("POST", "/chat", {"prompt": "Of Italy?"})
    await client.events.wait("llm", lambda data: data["generation"] == 2)
    assert dialogue(llm.requests[1]) == [
        ("user", "Capital of France?"),
        ("assistant", llm.reply),
        ("user", "Of Italy?"),
    ]


async def test_an_interrupted_answer_is_remembered_as_far_as_it_was_heard(client: Client, llm: LLMServer) -> None:
    llm.reply = spoken(440)
    await client.call("POST", "/chat", {"prompt": "Talk."})
    await client.receiver.until(lambda: duration_ms(client.receiver.samples(), 440) > 2800)
    await client.call("POST", "/interrupt")
    ended = await client.events.wait("speech.ended")
    assert spoken(440, sentences=1) in ended["text"]
    assert len(ended["text"]) < len(spoken(440, sentences=2))
    await client.call("POST", "/chat", {"prompt": "What did you say?"})
    await eventually(lambda: len(llm.requests) == 2, "the second request")
    assert dialogue(llm.requests[1]) == [
        ("user", "Talk."),
        ("assistant", ended["text"] + CUT_MARK),
        ("user", "What did you say?"),
    ]


async def test_an_answer_of_which_nothing_was_heard_leaves_no_trace(client: Client, llm: LLMServer) -> None:
    llm.delay_s = 60
    await client.call("POST", "/chat", {"prompt": "Talk."})
    await eventually(lambda: len(llm.requests) == 1, "the first request")
    await client.call("POST", "/interrupt")
    await client.events.wait("speech.ended")
    llm.delay_s = 0
    await client.call("POST", "/chat", {"prompt": "Again."})
    await eventually(lambda: len(llm.requests) == 2, "the second request")
    assert dialogue(llm.requests[1]) == [("user", "Talk.\nAgain.")]


async def test_a_session_brings_its_own_prompt_and_remembers_only_its_own_words(client: Client, llm: LLMServer) -> None:
    await client.call("POST", "/chat", {"prompt": "Mine."})
    await eventually(lambda: len(llm.requests) == 1, "the first request")
    async with Client(client.base) as other:
        await other.create(llm_system_prompt="You are a pirate.")
        await other.call("POST", "/chat", {"prompt": "Theirs."})
        await eventually(lambda: len(llm.requests) == 2, "the second request")
    assert llm.requests[1]["messages"] == [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Theirs."},
    ]

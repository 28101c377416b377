"""What goes wrong outside is said in words and as a code, and the session is there for the next turn."""

from __future__ import annotations

import pytest

from opentalking.llm.conversation import CUT_MARK
from tests.integration.tones import MS_PER_CHARACTER, duration_ms
from tests.support.client import Client
from tests.support.llm_server import LLMServer

pytestmark = pytest.mark.integration


async def the_session_still_speaks(client: Client) -> None:
    turn = await client.call("POST", "/speak", {"text": "[880] Still here."})
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is False
    await client.receiver.hear_more(100)
    assert duration_ms(client.receiver.samples(), 880) > 700
    assert (await client.call("GET", ""))["state"] == "ready"


async def fails(client: Client, action: str, body: dict[str, str], code: str) -> str:
    """The message of the error with which this turn ends."""
    turn = await client.call("POST", action, body)
    generation = turn["generation"]
    error = await client.events.wait("error", lambda data: data.get("generation") == generation)
    assert error["code"] == code
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == generation)
    assert (ended["text"], ended["interrupted"]) == ("", True)
    assert code in (await client.call("GET", ""))["last_error"]
    return str(error["message"])


@pytest.mark.parametrize(
    ("status", "words"), [(500, "failed with status 500"), (401, "refuses the key"), (429, "rate limit")]
)
async def test_a_model_that_refuses_is_reported_and_survived(
    client: Client, llm: LLMServer, status: int, words: str
) -> None:
    llm.status = status
    assert words in await fails(client, "/chat", {"prompt": "Hello?"}, "LLM_FAILED")
    await the_session_still_speaks(client)
    llm.status, llm.reply = 200, "[880] Better now."
    turn = await client.call("POST", "/chat", {"prompt": "And now?"})
    await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert llm.requests[-1]["messages"][-1]["content"] == "Hello?\nAnd now?"  # type: ignore[index]


async def test_a_model_that_breaks_off_is_heard_to_the_end_of_its_last_whole_sentence(
    client: Client, llm: LLMServer
) -> None:
    whole = "[440] This is said to its end. [660] And so is this."
    llm.reply, llm.breaks_off_after = f"{whole} [880] But this is not, since", len(whole.split()) + 3
    generation = (await client.call("POST", "/chat", {"prompt": "Hello?"}))["generation"]
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == generation)
    assert (ended["text"], ended["interrupted"]) == (whole, False)
    error = await client.events.wait("error", lambda data: data.get("generation") == generation)
    assert (error["code"], error["reason"]) == ("LLM_FAILED", "unreachable")
    await client.receiver.hear_more(100)
    for hertz, sentence in ((440, whole[:30]), (660, whole[31:])):
        assert duration_ms(client.receiver.samples(), hertz) > len(sentence) * MS_PER_CHARACTER - 100
    assert duration_ms(client.receiver.samples(), 880) == 0
    llm.reply, llm.breaks_off_after = "[880] Better now.", None
    turn = await client.call("POST", "/chat", {"prompt": "And now?"})
    await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert llm.requests[-1]["messages"][-2]["content"] == whole + CUT_MARK  # type: ignore[index]


async def test_a_model_that_is_not_there_is_reported_and_survived(client: Client) -> None:
    assert "cannot be reached" in await fails(client, "/chat", {"prompt": "Hello?"}, "LLM_FAILED")
    await the_session_still_speaks(client)


@pytest.mark.parametrize("reply", ["", "\U0001f600 ***", "<think>Hm.</think>"])
async def test_a_model_that_says_nothing_is_reported_and_survived(client: Client, llm: LLMServer, reply: str) -> None:
    llm.reply = reply
    await fails(client, "/chat", {"prompt": "Hello?"}, "NOTHING_TO_SAY")
    await the_session_still_speaks(client)


@pytest.mark.parametrize("text", ["\U0001f600\U0001f600", "***", "```\n```", "..."])
async def test_a_text_without_a_word_is_reported_as_nothing_to_say(client: Client, text: str) -> None:
    await fails(client, "/speak", {"text": text}, "NOTHING_TO_SAY")
    await the_session_still_speaks(client)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"text": "hello", "tts_provider": "none"}, "unknown_tts_provider"),
        ({"text": "hello", "voice": "none"}, "unknown_voice"),
        ({"text": "  "}, "text_empty"),
        ({"text": "a" * 5000}, "text_too_long"),
    ],
)
async def test_a_turn_that_cannot_be_is_refused_and_does_not_interrupt(
    client: Client, body: dict[str, str], code: str
) -> None:
    turn = await client.call("POST", "/speak", {"text": "[440] This is said to its end."})
    assert (await client.call("POST", "/speak", body, allow=(400,)))["code"] == code
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is False

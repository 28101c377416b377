"""Interruption by every way there is, at moments of chance: silence, the truth about what was heard, nothing stale."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.integration.tones import MS_PER_CHARACTER, duration_ms, eventually, level, spoken
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import Node

pytestmark = pytest.mark.integration

WAYS = ["interrupt", "speak", "chat", "close", "publish"]


async def interrupt(client: Client, node: Node, way: str) -> None:
    if way == "interrupt":
        await client.call("POST", "/interrupt")
    elif way == "speak":
        await client.call("POST", "/speak", {"text": "[880] Now this."})
    elif way == "chat":
        await client.call("POST", "/chat", {"prompt": "And now?"})
    elif way == "close":
        await client.receiver.close()
    else:
        assert node.redis().publish("opentalking:interrupt", client.session_id) > 0


async def ended(client: Client, turn: dict[str, Any]) -> dict[str, Any]:
    """Well within the grace for a lost browser, which would end the turn too."""
    generation = turn["generation"]
    return await client.events.wait("speech.ended", lambda data: data["generation"] == generation, timeout_s=20)


async def nothing_stale_is_heard(client: Client, since: int) -> None:
    """The next turn is clean: 880 Hz from its first sample to its last, and no 440 Hz after sample `since`."""
    turn = await client.call("POST", "/speak", {"text": "[880] Clean again."})
    assert (await ended(client, turn))["interrupted"] is False
    await client.receiver.hear_more(200)
    later = client.receiver.samples()[since:]
    assert level(later, 440).max() < 600
    assert duration_ms(later, 880) >= 17 * MS_PER_CHARACTER


@pytest.mark.parametrize("way", WAYS)
async def test_an_interruption_in_mid_speech_is_obeyed_and_reported_as_it_was_heard(
    client: Client, node: Node, llm: LLMServer, way: str
) -> None:
    llm.reply = spoken(440)
    turn = await client.call("POST", "/chat", {"prompt": "Talk."})
    await client.events.wait("speech.media_started", lambda data: data["generation"] == turn["generation"])
    await client.receiver.hear_more(random.uniform(0, 1500))
    llm.reply = "[880] Well."
    await interrupt(client, node, way)
    end = await ended(client, turn)
    assert end["interrupted"] is True
    assert llm.reply != end["text"] and spoken(440).startswith(end["text"])
    if way != "close":
        await client.receiver.hear_more(500)  # the receiver's jitter buffer may be some 100 ms behind the event
        heard = client.receiver.samples()
        assert level(heard[-4800:], 440).max() < 600
        assert duration_ms(heard, 440) > len(end["text"]) * MS_PER_CHARACTER - 150
        assert duration_ms(heard, 440) < (len(end["text"]) + len(" [440] longer.")) * MS_PER_CHARACTER + 150
    else:
        await client.reconnect()
    if way in ("speak", "chat"):
        await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"] + 1)
    await nothing_stale_is_heard(client, len(client.receiver.samples()))


@pytest.mark.parametrize("way", WAYS)
async def test_an_interruption_while_the_model_thinks_closes_its_request(
    client: Client, node: Node, llm: LLMServer, way: str
) -> None:
    llm.delay_s = 60
    turn = await client.call("POST", "/chat", {"prompt": "Think."})
    await eventually(lambda: len(llm.requests) == 1, "the request reaches the model")
    llm.delay_s, llm.reply = 0, "[880] Well."
    await interrupt(client, node, way)
    end = await ended(client, turn)
    assert (end["text"], end["interrupted"]) == ("", True)
    await eventually(lambda: llm.cancelled == 1, "the model sees its request closed")
    if way == "close":
        await client.reconnect()
    await nothing_stale_is_heard(client, 0)


@pytest.mark.parametrize("way", WAYS)
async def test_an_interruption_while_the_model_still_writes_closes_its_request(
    client: Client, node: Node, llm: LLMServer, way: str
) -> None:
    llm.word_pause_s, llm.reply = 0.2, spoken(440, sentences=40)
    turn = await client.call("POST", "/chat", {"prompt": "Write."})
    await client.events.wait("speech.media_started")
    llm.word_pause_s, llm.reply = 0, "[880] Well."
    await interrupt(client, node, way)
    assert (await ended(client, turn))["interrupted"] is True
    await eventually(lambda: llm.cancelled == 1, "the model sees its request closed")


async def test_a_burst_of_turns_ends_each_and_speaks_the_last(client: Client, llm: LLMServer) -> None:
    turns = []
    for number in range(12):
        body = {"text": spoken(440)} if number % 2 else {"prompt": "Hello?"}
        turns.append(await client.call("POST", "/speak" if number % 2 else "/chat", body))
        await asyncio.sleep(random.choice([0, 0, 0.01, 0.15]))  # the moment is the subject
    last = await client.call("POST", "/speak", {"text": "[880] At last."})
    for turn in turns:
        assert (await ended(client, turn))["interrupted"] is True
    assert (await ended(client, last))["interrupted"] is False
    generations = [data["generation"] for _, name, data in client.events.seen if name == "speech.ended"]
    assert generations == [turn["generation"] for turn in (*turns, last)]


async def test_interrupts_and_turns_in_one_breath_leave_the_session_usable(client: Client, llm: LLMServer) -> None:
    for _ in range(10):
        await asyncio.gather(
            client.call("POST", "/chat", {"prompt": "Hello?"}),
            client.call("POST", "/interrupt"),
            client.call("POST", "/speak", {"text": spoken(440)}),
            client.call("POST", "/interrupt"),
        )
    await client.call("POST", "/interrupt")
    await client.receiver.hear_more(300)
    await nothing_stale_is_heard(client, len(client.receiver.samples()))
    started = [data["generation"] for _, name, data in client.events.seen if name == "speech.started"]
    finished = [data["generation"] for _, name, data in client.events.seen if name == "speech.ended"]
    assert sorted(started) == sorted(finished) == sorted(set(started))


async def test_what_is_not_an_interrupt_is_ignored(client: Client, node: Node) -> None:
    turn = await client.call("POST", "/speak", {"text": "[440] This is said to its end."})
    for payload in ("", "sess_000000000000", "{", '{"session_id": 3}', '{"generation": 99}', "a b c"):
        node.redis().publish("opentalking:interrupt", payload)
    assert (await ended(client, turn))["interrupted"] is False

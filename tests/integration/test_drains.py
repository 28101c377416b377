"""SIGTERM: the sentence that is being heard is said to its end, nothing new begins meanwhile, and then it goes on."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import TONES
from tests.integration.crashing import (
    ROLES,
    is_undisturbed,
    longest_gap_ms,
    process_of,
    served,
    speaks,
    speaks_again,
    worker_of,
)
from tests.integration.tones import MS_PER_CHARACTER, duration_ms, eventually, spoken
from tests.support.client import Client
from tests.support.node import Node

pytestmark = pytest.mark.integration

SENTENCE = spoken(440, sentences=1)


async def end_of(client: Client, turn: dict[str, Any]) -> dict[str, Any]:
    return await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])


@pytest.mark.parametrize("role", ROLES)
async def test_a_worker_that_is_told_to_go_lets_the_sentence_end_and_its_session_lives_on(
    pair: Node, hurt: Client, other: Client, role: str
) -> None:
    turn, whole, since = await speaks(hurt, 440), await speaks(other, 880), time.time()
    pair.processes()[await worker_of(hurt, role)].send_signal(signal.SIGTERM)
    ended = await end_of(hurt, turn)
    sentences = spoken(440, sentences=12).removesuffix(ended["text"])
    assert ended["interrupted"] is True
    assert ended["text"] == spoken(440, sentences=len(ended["text"]) // len(SENTENCE)) != sentences
    assert "error" not in hurt.events.names()
    await served(pair, hurt)
    if role == "rtc":
        await hurt.reconnect()
    else:
        heard_ms = duration_ms(hurt.receiver.samples(), 440)
        assert abs(heard_ms - len(ended["text"]) * MS_PER_CHARACTER) < 300
    await speaks_again(hurt)
    assert (await other.call("GET", ""))["state"] == "speaking"
    await is_undisturbed(other.receiver, since)
    await other.call("POST", "/interrupt")
    await end_of(other, whole)
    assert longest_gap_ms(other.receiver.samples(), 880) <= 20


@pytest.mark.parametrize("role", ROLES)
async def test_while_a_worker_goes_nothing_new_is_begun_there(pair: Node, hurt: Client, role: str) -> None:
    turn, name = await speaks(hurt, 440), await worker_of(hurt, role)
    pair.processes()[name].send_signal(signal.SIGTERM)
    redis = pair.redis()
    while redis.hget(f"opentalking:session:{hurt.session_id}", f"ready_{role}"):
        await hurt.receiver.hear_more(20)
    refused = await hurt.call("POST", "/speak", {"text": "Too late."}, allow=(503,))
    assert refused["code"] == "draining"
    async with Client(pair.base) as late:
        await late.create()
        assert await worker_of(late, role) != name
    ended = await end_of(hurt, turn)
    assert ended["text"].endswith("while longer."), "what was said was not cut off by what was refused"


async def test_a_speech_worker_that_is_told_to_go_finishes_what_it_is_saying_and_its_session_lives_on(
    pair: Node, hurt: Client
) -> None:
    text = "[440] This sentence is said to its end."
    await hurt.call("POST", "/speak", {"text": text})
    await hurt.events.wait("speech.media_started")
    pair.processes()[await worker_of(hurt, "speech")].send_signal(signal.SIGTERM)
    ended = await hurt.events.wait("speech.ended")
    assert (ended["text"], ended["interrupted"]) == (text, False)
    await served(pair, hurt)
    await speaks_again(hurt)


@pytest.mark.parametrize("role", ROLES)
async def test_a_worker_that_is_told_to_go_does_not_talk_for_ever(pair: Node, hurt: Client, role: str) -> None:
    endless = "[440] " + "and on and on " * 40  # 34 s without a full stop
    turn = await hurt.call("POST", "/speak", {"text": endless})
    await hurt.events.wait("speech.media_started")
    pair.processes()[await worker_of(hurt, role)].send_signal(signal.SIGTERM)
    ended = await end_of(hurt, turn)
    assert ended["interrupted"] is True
    assert ended["text"] and endless.startswith(ended["text"])
    await served(pair, hurt)
    if role == "rtc":
        await hurt.reconnect()
    await speaks_again(hurt)


async def test_the_api_that_is_told_to_go_answers_what_it_was_asked_and_ends_its_streams(
    pair: Node, hurt: Client
) -> None:
    rtc, api = process_of(pair, await worker_of(hurt, "rtc")), process_of(pair, "api")
    stream = f"opentalking:commands:{(await hurt.call('GET', ''))['rtc_worker']}"
    rtc.suspend()  # so that the answer is still to come
    try:
        asked = asyncio.create_task(hurt.call("POST", "/webrtc/offer", {"sdp": SDP, "type": "offer"}, allow=(400,)))
        redis = pair.redis()
        await eventually(lambda: bool(redis.xlen(stream)), "the offer is on its way")
        api.send_signal(signal.SIGTERM)
        await hurt.events._task  # its end is an end, not an error
        assert not asked.done()
    finally:
        rtc.resume()
    assert (await asked)["code"] == "bad_offer"
    code, output = await pair.cli("status", "--wait", "60")
    assert code == 0, output


SDP = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"


async def test_down_lets_the_sentence_end(models: Path) -> None:
    node = Node(cache=models, **TONES)
    async with node, Client(node.base) as client:
        await client.create()
        await client.connect()
        await speaks(client, 440)
        code, output = await node.cli("down")
        assert code == 0, output
        client.session_id = ""  # there is nobody left to end it
        await client.events.close()
        heard_ms, sentence_ms = duration_ms(client.receiver.samples(), 440), len(SENTENCE) * MS_PER_CHARACTER
        assert min(heard_ms % sentence_ms, -heard_ms % sentence_ms) < 300
        assert heard_ms > sentence_ms - 300
    assert not node.shm.exists()

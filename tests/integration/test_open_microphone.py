"""A conversation by the browser's open microphone: nobody presses anything, words arrive, an answer is heard."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from tests.integration.conftest import hearing
from tests.integration.crashing import worker_of
from tests.integration.tones import MS_PER_CHARACTER, duration_ms, eventually
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import Node
from tests.support.speaker import Speaker
from tests.support.spoken import Voice, clicks, noise, pause

pytestmark = pytest.mark.integration

MOON = "How far is the moon from the earth, and how long would it take to walk there?"
WEATHER = "What is the weather like today?"
UNFINISHED, REST = "Please tell me more about the weather, because", "we want to go for a walk."
THINKING_MS = 450
REPLY = "[880] It is quite far."


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def alike(one: str, other: str) -> bool:
    """All words but one in five."""
    return len(set(words(one)) & set(words(other))) >= 0.8 * len(set(words(other)))


async def started(user: Client, after: int = 0) -> dict[str, Any]:
    """The next turn."""
    return user.events.seen[await user.events.find("speech.started", after=after)][2]


async def answered(user: Speaker, turn: dict[str, Any]) -> None:
    """The stand-in's reply is heard from its first sample to its last."""
    before = duration_ms(user.receiver.samples(), 880)
    ended = await user.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert (ended["text"], ended["interrupted"]) == (REPLY, False)
    wanted = before + len(REPLY) * MS_PER_CHARACTER - 100
    await user.receiver.until(lambda: duration_ms(user.receiver.samples(), 880) >= wanted)


@pytest.fixture(autouse=True)
def reply(llm: LLMServer) -> None:
    llm.reply = REPLY


async def test_what_is_said_appears_while_it_is_said_and_is_answered(
    speaker: Speaker, person: Voice, llm: LLMServer
) -> None:
    await speaker.say(await person.say(MOON))
    turn = await started(speaker)
    await answered(speaker, turn)
    told = [data for _, name, data in speaker.events.seen if name == "transcript"]
    *partial, final = told
    assert final["is_final"] and not any(data["is_final"] for data in partial)
    assert final["text"] == turn["text"] and alike(turn["text"], MOON)
    assert partial and set(words(partial[0]["text"])) & set(words(MOON))
    assert (turn["kind"], llm.requests[-1]["messages"][-1]["content"]) == ("chat", turn["text"])  # type: ignore[index]
    states = [data["state"] for _, name, data in speaker.events.seen if name == "listening"]
    assert states[:3] == ["listening", "hearing", "listening"]
    names = speaker.events.names()
    assert names.index("transcript") < names.index("speech.started")


async def test_one_question_after_another_is_a_turn_each(speaker: Speaker, person: Voice) -> None:
    for question in (WEATHER, MOON):
        before = len(speaker.events.seen)
        await speaker.say(await person.say(question))
        turn = await started(speaker, before)
        assert alike(turn["text"], question)
        await answered(speaker, turn)
    assert speaker.events.names().count("speech.started") == 2


async def test_who_stops_to_think_is_not_cut_short(speaker: Speaker, person: Voice, llm: LLMServer) -> None:
    said = [await person.say(UNFINISHED), pause(THINKING_MS), await person.say(REST)]
    await speaker.say(np.concatenate(said))
    turn = await started(speaker)
    assert alike(turn["text"], f"{UNFINISHED} {REST}")
    await answered(speaker, turn)
    assert speaker.events.names().count("speech.started") == 1


async def test_noise_is_no_turn(speaker: Speaker, person: Voice, llm: LLMServer) -> None:
    for sound in (noise(1000), clicks(1500), noise(100, amplitude=12_000)):
        await speaker.say(np.concatenate([sound, pause(500)]))
    assert not llm.requests
    await speaker.say(await person.say(WEATHER))
    assert alike((await started(speaker))["text"], WEATHER)
    assert speaker.events.names().count("speech.started") == 1


async def test_who_was_silent_for_long_is_heard(speaker: Speaker, person: Voice, llm: LLMServer) -> None:
    await speaker.say(np.concatenate([pause(6000), await person.say(WEATHER)]))
    assert alike((await started(speaker))["text"], WEATHER)
    assert len(llm.requests) <= 2  # the second, if words were added after a look ahead


async def test_a_page_that_is_reloaded_in_mid_sentence_is_heard_again(speaker: Speaker, person: Voice) -> None:
    saying = asyncio.create_task(speaker.say(await person.say(MOON)))
    await speaker.events.wait("listening", lambda data: data["state"] == "hearing")
    await speaker.reconnect()
    await saying
    await over(speaker)
    before = len(speaker.events.seen)
    await speaker.say(await person.say(WEATHER))
    turn = await started(speaker, before)
    assert alike(turn["text"], WEATHER)
    await answered(speaker, turn)


async def over(user: Speaker) -> None:
    """Whatever was made of half a sentence has been said."""
    await user.say(pause(2500))  # longer than any turn waits for more
    begun = [data["generation"] for _, name, data in user.events.seen if name == "speech.started"]
    for generation in begun:
        await user.events.wait("speech.ended", lambda data, g=generation: data["generation"] == g)


async def test_the_socket_and_the_open_microphone_are_heard_side_by_side(speaker: Speaker, person: Voice) -> None:
    url = f"{speaker.base}/api/sessions/{speaker.session_id}/speak_audio_stream"
    async with speaker.http.ws_connect(url) as socket:
        await socket.send_json({"type": "meta"})
        await socket.send_bytes((await person.say(WEATHER)).tobytes())
        await socket.send_json({"type": "end"})
        pressed = await socket.receive_json(timeout=30)
    assert alike(pressed["text"], WEATHER)
    await answered(speaker, await started(speaker))
    before = len(speaker.events.seen)
    await speaker.say(await person.say(MOON))
    turn = await started(speaker, before)
    assert alike(turn["text"], MOON)
    await answered(speaker, turn)


@pytest.fixture
async def surviving(pair: Node, llm: LLMServer) -> AsyncIterator[Speaker]:
    async with Speaker(pair.base) as user:
        await hearing(user)
        await user.create()
        await user.connect()
        yield user


@pytest.mark.parametrize("role", ["speech", "rtc"])
async def test_who_speaks_while_a_worker_dies_is_heard_when_it_is_back(
    surviving: Speaker, pair: Node, person: Voice, role: str
) -> None:
    name = await worker_of(surviving, role)
    saying = asyncio.create_task(surviving.say(await person.say(MOON)))
    await surviving.events.wait("listening", lambda data: data["state"] == "hearing")
    pair.processes()[name].kill()
    await eventually(lambda: name in pair.processes(), f"{name} is back")
    redis, key = pair.redis(), f"opentalking:session:{surviving.session_id}"
    await eventually(lambda: redis.hget(key, f"ready_{role}") == "1", "it has the session")
    redis.close()
    if role == "rtc":
        await surviving.reconnect()
    else:
        await hearing(surviving)
    await saying
    await over(surviving)
    before = len(surviving.events.seen)
    await surviving.say(await person.say(WEATHER))
    turn = await started(surviving, before)
    assert alike(turn["text"], WEATHER), json.dumps(surviving.events.seen[before:])
    await answered(surviving, turn)

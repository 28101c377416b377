"""Speaking over the avatar: it pauses, and speaks on where it was, or stops for good.

The voice is a noise of which every sample is known, or tones; the face mirrors what sounds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opentalking.llm.conversation import CUT_MARK
from tests.bench.receiver import LightReceiver
from tests.bench.spoken import LightSpeaker
from tests.integration.conftest import TONES, hearing, running
from tests.integration.recorded import NONE, blocks_heard, runs
from tests.integration.tones import MS_PER_CHARACTER, duration_ms, level, spoken
from tests.support.llm_server import LLMServer
from tests.support.mirror import Reading
from tests.support.node import Node
from tests.support.speaker import Speaker
from tests.support.spoken import Voice, cough, pause

pytestmark = pytest.mark.integration

SECONDS = 8
NOISE = f"[noise {SECONDS}] On and on it goes."
DARK = 0.08  # of a mirror picture; the one between speech and idle face shows about half
MOMENT_MS = (300, 700)  # of speech, before somebody speaks over it
MEANT_NOTHING = ("cough", "backchannel")  # the recogniser writes this cough as "uh"
STOP = "Please stop now and listen to my question."
ECHO = "The train."  # the avatar falls silent, and with it its echo
TRAIN = "The train to London leaves from platform seven at noon."


@pytest.fixture
async def watcher(node: Node, llm: LLMServer) -> AsyncIterator[LightSpeaker]:
    """A user with a microphone whose receiver keeps what every packet and picture was."""
    async with LightSpeaker(node.base) as user:
        await hearing(user)
        await user.create(model="mirror")
        await user.connect()
        await receiver_of(user).watch()
        yield user


def receiver_of(user: Speaker) -> LightReceiver:
    assert isinstance(user.receiver, LightReceiver)
    return user.receiver


async def heard_to_its_end(user: Speaker, turn: dict[str, Any]) -> dict[str, Any]:
    ended = await user.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    receiver = receiver_of(user)
    packets = len(receiver.sounds)
    await receiver.until(lambda: len(receiver.sounds) > packets + 10)
    return ended


async def say_over(user: Speaker, pcm: NDArray[np.int16]) -> dict[str, Any]:
    """At a moment of chance; returns the pause that it made."""
    receiver, before = receiver_of(user), len(user.events.seen)
    packets = len(receiver.sounds) + random.uniform(*MOMENT_MS) / 20
    await receiver.until(lambda: len(receiver.sounds) > packets)
    await user.say(pcm)
    return user.events.seen[await user.events.find("speech.paused", after=before)][2]


async def resumed(user: Speaker, after: dict[str, Any]) -> dict[str, Any]:
    return await user.events.wait("speech.resumed", lambda data: data["at"] > after["at"])


def everything_once(receiver: LightReceiver, breaks: int) -> None:
    """Every sample of the noise, in order and once, and so many silences in between."""
    blocks, _ = blocks_heard(np.concatenate([pcm for _, pcm in receiver.sounds]), SECONDS)
    said = blocks[blocks != NONE]
    assert said.tolist() == list(range(SECONDS * 50)), runs(blocks)
    assert len(runs(blocks)) == breaks + 1


def stretches(sights: list[tuple[float, Reading]]) -> list[tuple[bool, int]]:
    """Whether the face spoke, and for how many pictures in a row."""
    speaks = [shown.loudness > DARK for _, shown in sights]
    edges = [0, *(n for n in range(1, len(speaks)) if speaks[n] != speaks[n - 1]), len(speaks)]
    return [(speaks[start], end - start) for start, end in pairwise(edges)]


async def test_coughs_pause_the_avatar_and_it_speaks_on_with_nothing_lost_and_nothing_repeated(
    watcher: LightSpeaker,
) -> None:
    receiver = receiver_of(watcher)
    turn = await watcher.call("POST", "/speak", {"text": NOISE})
    await watcher.events.wait("speech.media_started")
    receiver.sights.clear()
    pauses = []
    for number in range(3):
        pauses.append(await say_over(watcher, cough(seed=number)))
        assert (await resumed(watcher, pauses[-1]))["reason"] in MEANT_NOTHING
    assert (await heard_to_its_end(watcher, turn))["interrupted"] is False
    everything_once(receiver, breaks=3)
    assert [data["generation"] for data in pauses] == [turn["generation"]] * 3
    assert "speech.started" not in watcher.events.names()[watcher.events.names().index("speech.paused") :]
    assert [speaks for speaks, _ in stretches(receiver.sights)] == [True, False] * 4


async def test_while_it_is_paused_the_mouth_is_still_for_as_long_as_the_sound(watcher: LightSpeaker) -> None:
    receiver = receiver_of(watcher)
    turn = await watcher.call("POST", "/speak", {"text": NOISE})
    await watcher.events.wait("speech.media_started")
    receiver.sounds.clear()
    receiver.sights.clear()
    await say_over(watcher, cough())
    await heard_to_its_end(watcher, turn)
    silent = [pcm for _, pcm in receiver.sounds if np.abs(pcm).max() < 300]
    still = [count for speaks, count in stretches(receiver.sights) if not speaks]
    after = len(receiver.sounds) - max(n for n, (_, pcm) in enumerate(receiver.sounds) if np.abs(pcm).max() > 1000)
    paused = len(silent) - after
    assert paused > 10
    assert abs(2 * still[0] - paused) <= 4  # a picture lasts two packets; the one in between, one


async def test_who_tells_that_he_listens_does_not_stop_the_avatar(watcher: LightSpeaker, person: Voice) -> None:
    turn = await watcher.call("POST", "/speak", {"text": NOISE})
    await watcher.events.wait("speech.media_started")
    paused = await say_over(watcher, await person.say("Yeah."))
    assert (await resumed(watcher, paused))["reason"] == "backchannel"
    assert (await heard_to_its_end(watcher, turn))["interrupted"] is False
    everything_once(receiver_of(watcher), breaks=1)


async def test_the_avatars_own_words_in_the_microphone_do_not_stop_it(watcher: LightSpeaker, person: Voice) -> None:
    turn = await watcher.call("POST", "/speak", {"text": " ".join([TRAIN] * 3)})
    await watcher.events.wait("speech.media_started")
    paused = await say_over(watcher, await person.say(ECHO))
    assert (await resumed(watcher, paused))["reason"] == "echo"
    ended = await heard_to_its_end(watcher, turn)
    assert (ended["interrupted"], ended["text"]) == (False, " ".join([TRAIN] * 3))
    heard = np.concatenate([pcm for _, pcm in receiver_of(watcher).sounds])
    assert abs(duration_ms(heard, 440) - 3 * len(TRAIN) * MS_PER_CHARACTER) < 400


async def test_words_stop_it_and_are_answered_and_it_remembers_what_was_heard(
    watcher: LightSpeaker, person: Voice, llm: LLMServer
) -> None:
    receiver = receiver_of(watcher)
    llm.reply = spoken(440)
    turn = await watcher.call("POST", "/chat", {"prompt": "Talk."})
    await watcher.events.wait("speech.media_started")
    llm.reply = "[880] Yes, please?"
    paused = await say_over(watcher, await person.say(STOP))
    told = await watcher.events.wait("speech.interrupted")
    assert (told["generation"], told["reason"]) == (turn["generation"], "barge_in")
    ended = await watcher.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert (ended["interrupted"], ended["text"]) == (True, paused["text"])
    asked = await watcher.events.wait("speech.started", lambda data: data["generation"] > turn["generation"])
    assert "stop" in asked["text"].lower() and "question" in asked["text"].lower()
    await heard_to_its_end(watcher, asked)
    heard = np.concatenate([pcm for _, pcm in receiver.sounds])
    old, new = np.flatnonzero(level(heard, 440) > 1500), np.flatnonzero(level(heard, 880) > 1500)
    assert np.diff(old).max() <= 2 and old[-1] < new[0]  # in one piece: nothing of it comes after its silence
    assert len(new) * 20 >= len("[880] Yes,") * MS_PER_CHARACTER
    words = spoken(440)[: len(old) * 20 // MS_PER_CHARACTER]
    assert ended["text"] in (words.strip(), words.rpartition(" ")[0])
    assert [(one["role"], one["content"]) for one in llm.requests[-1]["messages"][1:]] == [  # type: ignore[attr-defined]
        ("user", "Talk."),
        ("assistant", ended["text"] + CUT_MARK),
        ("user", asked["text"]),
    ]


async def test_what_is_paused_can_be_interrupted_and_nothing_of_it_is_heard_again(
    watcher: LightSpeaker,
) -> None:
    receiver = receiver_of(watcher)
    turn = await watcher.call("POST", "/speak", {"text": NOISE})
    await watcher.events.wait("speech.media_started")
    paused = await say_over(watcher, cough())
    await watcher.call("POST", "/interrupt")
    ended = await heard_to_its_end(watcher, turn)
    assert (ended["interrupted"], ended["text"]) == (True, paused["text"])
    await watcher.say(pause(2500))  # until the cough, too, has been judged
    blocks, _ = blocks_heard(np.concatenate([pcm for _, pcm in receiver.sounds]), SECONDS)
    assert len(runs(blocks)) == 1
    assert "speech.resumed" not in watcher.events.names()


@pytest.fixture(scope="module")
def patient(models: Path) -> Iterator[Node]:
    """A node whose avatar lets nobody cut in."""
    yield from running(Node(cache=models, OPENTALKING_BARGE_IN="false", **TONES))


async def test_without_barge_in_nothing_pauses(patient: Node, llm: LLMServer, person: Voice) -> None:
    async with LightSpeaker(patient.base) as user:
        await hearing(user)
        await user.create(model="mirror")
        await user.connect()
        await receiver_of(user).watch()
        turn = await user.call("POST", "/speak", {"text": NOISE})
        await user.events.wait("speech.media_started")
        said = np.concatenate([cough(), await person.say(STOP)])
        await asyncio.wait_for(user.say(said), 20)
        assert (await heard_to_its_end(user, turn))["interrupted"] is False
        everything_once(receiver_of(user), breaks=0)
        assert not {"speech.paused", "speech.interrupted"} & set(user.events.names())

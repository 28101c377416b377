"""Nobody ever gets another's sound or picture: several users at once, each with a pitch and so a hue of their own.

Every user speaks, asks, interrupts, reloads and leaves at moments of chance, and another comes with a pitch that nobody
had of late. The mirror's picture shows whose sound its slot held, so one wrong slot of 40 ms, heard or seen, is found.

    ISOLATION_SECONDS=1800 ISOLATION_SEATS=8 ISOLATION_SEED=7 pytest tests/integration/test_isolation.py
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import pytest

from tests.conftest import LONGEST_TEST_S
from tests.integration.tones import level, sounds
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.mirror import pitch_distance
from tests.support.node import Node
from tests.support.watcher import Watcher, watch_anew, watching

pytestmark = pytest.mark.integration

SECONDS = float(os.environ.get("ISOLATION_SECONDS", "40"))
SEATS = int(os.environ.get("ISOLATION_SEATS", "5"))
SEED = int(os.environ.get("ISOLATION_SEED", "0")) or random.randrange(1, 10**6)
PITCHES = tuple(range(600, 3600, 300))  # more than seats: a pitch rests between two users
HUE_TOLERANCE_HZ = 120  # of the 300 to the next
STAY_S = (5.0, 15.0)


@dataclass
class Tally:
    """What happened, so that a run in which nothing happened is no proof."""

    done: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    hued_frames: int = 0
    heard_ms: int = 0
    loudest_foreign: float = 0.0
    farthest_hue_hz: float = 0.0


def wording(pitch: int, chance: random.Random) -> str:
    """One to four sentences, each in this pitch."""
    words = [" ".join(["word"] * chance.randint(1, 8)) for _ in range(chance.randint(1, 4))]
    return " ".join(f"[{pitch}] {sentence}." for sentence in words)


async def talk(client: Client, pitch: int, chance: random.Random, until: float, tally: Tally) -> None:
    """Do something, wait a little, do something else; what is spoken is often cut by what comes next."""
    while time.monotonic() < until:
        deed = chance.choices(["speak", "chat", "interrupt", "reload", "leave"], [40, 25, 25, 6, 4])[0]
        tally.done[deed] += 1
        if deed == "speak":
            await client.call("POST", "/speak", {"text": wording(pitch, chance)})
        elif deed == "chat":
            await client.call("POST", "/chat", {"prompt": wording(pitch, chance)})
        elif deed == "interrupt":
            await client.call("POST", "/interrupt")
        elif deed == "reload":
            check(client, pitch, tally)
            await watch_anew(client)
        else:
            return
        await asyncio.sleep(chance.choice([0, 0.05, 0.3, 1, 2, 3]))  # the moment is the subject


def check(client: Client, own: int, tally: Tally) -> None:
    """All that this user's receiver and event stream have had so far is this user's, or nobody's."""
    watcher = client.receiver
    assert isinstance(watcher, Watcher)
    samples = watcher.samples()
    for other in PITCHES:
        if other != own:
            tally.loudest_foreign = max(tally.loudest_foreign, level(samples, other).max(initial=0))
            assert not len(sounds(samples, other)), f"the user of {own} Hz heard {other} Hz"
    hues = [shown.hertz for _, shown in watcher.seen if shown.hertz is not None]
    for hertz in hues:
        tally.farthest_hue_hz = max(tally.farthest_hue_hz, pitch_distance(hertz, own))
        assert pitch_distance(hertz, own) < HUE_TOLERANCE_HZ, f"the user of {own} Hz saw {hertz:.0f} Hz"
    for _, name, data in client.events.seen:
        assert data["session_id"] == client.session_id, f"{name} of another session"
        if name == "subtitle.chunk":
            assert data["text"].startswith(f"[{own}]")
    tally.frames += len(watcher.seen)
    tally.hued_frames += len(hues)
    tally.heard_ms += 20 * len(sounds(samples, own))


async def seat(node: Node, chance: random.Random, pitches: deque[int], until: float, tally: Tally) -> None:
    """One user after the other."""
    while time.monotonic() < until:
        pitch = pitches.popleft()
        async with watching(node.base) as client:
            await talk(client, pitch, chance, min(until, time.monotonic() + chance.uniform(*STAY_S)), tally)
            check(client, pitch, tally)
            tally.done["user"] += 1
        pitches.append(pitch)


async def test_nobody_ever_gets_anothers_sound_picture_or_events(node: Node, llm: LLMServer) -> None:
    print(f"ISOLATION_SEED={SEED} ISOLATION_SEATS={SEATS} ISOLATION_SECONDS={SECONDS:g}")
    signal.alarm(LONGEST_TEST_S + round(SECONDS))
    llm.deltas = lambda prompt: [word + " " for word in prompt.split(" ")]  # the model says what it is asked
    chance, pitches, tally = random.Random(SEED), deque(PITCHES), Tally()
    until = time.monotonic() + SECONDS
    seats = (seat(node, random.Random(chance.random()), pitches, until, tally) for _ in range(SEATS))
    await asyncio.gather(*seats)
    print(tally)
    assert tally.done["user"] >= SEATS and tally.done["interrupt"] >= SEATS
    assert tally.hued_frames >= 25 * SEATS and tally.frames > tally.hued_frames  # speech and idle were both seen
    assert tally.heard_ms >= 1000 * SEATS


async def test_a_leak_would_be_found(node: Node) -> None:
    """The same check on a user who speaks in another's pitch for the shortest sentence there is."""
    async with watching(node.base) as client:
        turn = await client.call("POST", "/speak", {"text": "[900] A."})
        await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
        await client.receiver.hear_more(300)
        check(client, 900, Tally())
        with pytest.raises(AssertionError, match="the user of 600 Hz heard 900 Hz"):
            check(client, 600, Tally())
        watcher = client.receiver
        assert isinstance(watcher, Watcher)
        watcher.heard.clear()
        with pytest.raises(AssertionError, match="the user of 600 Hz saw"):
            check(client, 600, Tally())

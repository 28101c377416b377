"""Two hundred cuts at moments of chance: nothing stale is ever heard, and what is remembered is what a receiver heard.

    sent      |[500] …|[700] …|[900] …            a fragment is a pitch, 60 ms a character
                          ^ POST /interrupt
    heard     ▁▂▂▂▂▂▂▂▃▃▃▃▃▁▁▁▁▁▁▁▄▄▄▄▄           the next turn has other pitches

The receiver counts the packets in which a pitch sounds, and knows from that which words were over. Nobody tells it.
"""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench.receiver import LightReceiver
from tests.integration.tones import MS_PER_CHARACTER, level
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import Node

pytestmark = pytest.mark.integration

SESSIONS, CUTS = 4, 50  # of each
PITCHES = [(500 + 200 * n, 1300 + 200 * n, 2100 + 200 * n) for n in range(4)]  # of turn after turn
WORDS = ("This is so", "and then that was it", "or so they say")
LOOK_AHEAD = 312  # samples by which Opus is late: a packet that was sent lies so far behind in what is heard
SOUNDS = 1500.0  # amplitude, of 8000: of a packet that fades in, but not of one that decays
LATEST_S = 2.6  # after the question; all is said after 3.5 s
PACKET_MS = 20
GAP = 2  # packets without a turn's sound after which it has fallen silent: one fades, between two of its fragments


@dataclass(frozen=True)
class Cut:
    """One turn: its fragments by pitch, what the server says of it, and the packets heard when it began and was cut."""

    fragments: dict[int, str]
    told: dict[str, Any]
    history: list[dict[str, Any]]
    began: int
    cut: int


def fragments(number: int) -> dict[int, str]:
    """By pitch, of a session's so-manieth turn."""
    pitches = PITCHES[number % len(PITCHES)]
    return {hertz: f"[{hertz}] {words}." for hertz, words in zip(pitches, WORDS, strict=True)}


def answer(prompt: str) -> list[str]:
    """The stand-in's, word by word, to `session 1, turn 2`."""
    return [word + " " for word in " ".join(fragments(int(prompt.split()[-1])).values()).split()]


async def cut_one(client: Client, name: str, number: int, chance: random.Random) -> Cut:
    """Ask, wait for a moment of chance, interrupt."""
    receiver = client.receiver
    assert isinstance(receiver, LightReceiver)
    began = len(receiver.sounds)
    turn = await client.call("POST", "/chat", {"prompt": f"session {name}, turn {number}"})
    await asyncio.sleep(chance.uniform(0, LATEST_S))  # the moment is the subject
    await client.call("POST", "/interrupt")
    cut = len(receiver.sounds)
    told = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    history = msgspec.json.decode((await client.call("GET", ""))["history"])
    await asyncio.sleep(chance.uniform(0, 0.1))
    return Cut(fragments(number), told, history, began, cut)


async def cut_again_and_again(node: Node, stack: AsyncExitStack, name: str) -> tuple[list[Cut], LightReceiver]:
    client = await stack.enter_async_context(Client(node.base))
    client.receiver = receiver = LightReceiver()
    await client.create()
    await client.connect()
    receiver.stop_reading()
    receiver.listen()
    chance = random.Random(name)
    cuts = [await cut_one(client, name, number, chance) for number in range(CUTS)]
    after = len(receiver.sounds)
    await receiver.until(lambda: len(receiver.sounds) > after + 25)
    return cuts, receiver


def sounding(receiver: LightReceiver) -> dict[int, NDArray[np.intp]]:
    """The packets in which each pitch was sent."""
    heard = np.concatenate([pcm for _, pcm in receiver.sounds])[LOOK_AHEAD:]
    return {hertz: np.flatnonzero(level(heard, hertz) > SOUNDS) for family in PITCHES for hertz in family}


def heard_of(cut: Cut, packets: dict[int, NDArray[np.intp]]) -> str:
    """The words that were over, by what a receiver recorded of a turn."""
    whole = ""
    for hertz, text in cut.fragments.items():
        sounded_ms = PACKET_MS * len(packets[hertz])
        if sounded_ms == 0:
            break
        ends = [word.end() for word in re.finditer(r"\S+", text) if word.end() * MS_PER_CHARACTER <= sounded_ms]
        whole += " " + (text[: ends[-1]] if ends else "")
    return whole.strip()


def stale(cut: Cut, packets: dict[int, NDArray[np.intp]]) -> int:
    """Samples of a turn that were heard after it had fallen silent."""
    heard = np.unique(np.concatenate(list(packets.values())))
    after = heard[heard > cut.cut]
    ends = np.flatnonzero(np.diff(after, prepend=cut.cut) > GAP)
    return 960 * (len(after) - int(ends[0])) if len(ends) else 0


def check(cuts: list[Cut], receiver: LightReceiver) -> list[str]:
    """What is wrong, in words; and how the cuts fell is printed."""
    wrong, packets = [], sounding(receiver)
    for number, cut in enumerate(cuts):
        next_alike = cuts[number + len(PITCHES)].began if number + len(PITCHES) < len(cuts) else len(receiver.sounds)
        own = {
            hertz: packets[hertz][(packets[hertz] >= cut.began) & (packets[hertz] < next_alike)]
            for hertz in cut.fragments
        }
        heard, last = heard_of(cut, own), cut.history[-1]
        if cut.told["text"] != heard or not cut.told["interrupted"]:
            wrong.append(f"turn {number}: told {cut.told}, heard {heard!r}")
        if heard and last != {"role": "assistant", "content": heard, "interrupted": True}:
            wrong.append(f"turn {number}: remembered {last}, heard {heard!r}")
        if not heard and last["role"] != "user":
            wrong.append(f"turn {number}: remembered {last}, nothing was heard")
        if found := stale(cut, own):
            wrong.append(f"turn {number}: {found} stale samples")
    return wrong


async def test_after_each_of_two_hundred_cuts_nothing_stale_is_heard_and_what_was_heard_is_remembered(
    node: Node, llm: LLMServer
) -> None:
    llm.deltas = answer
    async with AsyncExitStack() as stack:
        names = [str(number) for number in range(SESSIONS)]
        done = await asyncio.gather(*(cut_again_and_again(node, stack, name) for name in names))
    wrong = [f"session {name}, {what}" for name, found in zip(names, done, strict=True) for what in check(*found)]
    assert not wrong, "\n".join(wrong)
    texts = [cut.told["text"] for cuts, _ in done for cut in cuts]
    assert len(texts) == SESSIONS * CUTS and len(set(texts)) > CUTS / 2  # of chance, indeed

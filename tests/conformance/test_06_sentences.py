"""Item 6: where a text is cut into sentences does not depend on where the model's tokens were cut."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from tests.conformance.guest import Guest, Turn
from tests.conformance.server import Server
from tests.support.llm_server import LLMServer

pytestmark = pytest.mark.integration

TEXT = "你好。世界！3.14 is pi. Ok?"
SENTENCES = ["你好。", "世界！", "3.14 is pi.", "Ok?"]
SESSIONS = 4  # at once; each says its share of the choppings

EVERYWHERE = range(1, len(TEXT))
CHANCE = random.Random(0)
CHOPPINGS = [
    [],
    list(EVERYWHERE),
    *([position] for position in EVERYWHERE),
    *(sorted(CHANCE.sample(EVERYWHERE, CHANCE.randint(2, 12))) for _ in range(6)),
]


def chopped(prompt: str) -> list[str]:
    """TEXT as tokens; the prompt says where they are cut."""
    cuts = [0, *map(int, prompt.split()[1:]), len(TEXT)]
    return [TEXT[start:end] for start, end in pairwise(cuts)]


async def sentences(guest: Guest, turn: Turn) -> list[str]:
    return [data["text"] for name, data in await guest.ended(turn) if name == "subtitle.chunk"]


async def test_a_given_text_is_cut_where_its_sentences_end(guest: Guest) -> None:
    assert await sentences(guest, await guest.speak(TEXT)) == SENTENCES


async def test_a_reply_is_cut_where_its_sentences_end_however_its_tokens_are_chopped(
    server: Server, llm: LLMServer
) -> None:
    llm.deltas = chopped
    found: dict[str, list[str]] = {}

    async def converse(share: list[list[int]]) -> None:
        async with Guest(server) as guest:
            await guest.create()
            await guest.connect()
            for cuts in share:
                prompt = " ".join(["Cut:", *map(str, cuts)])
                found[prompt] = await sentences(guest, await guest.chat(prompt))

    await asyncio.gather(*(converse(CHOPPINGS[number::SESSIONS]) for number in range(SESSIONS)))
    assert {prompt: told for prompt, told in found.items() if told != SENTENCES} == {}
    assert len(found) == len(CHOPPINGS)

"""Generations, and the channel on which raising one is announced.

To interrupt is to raise a session's generation; whatever is older is dropped everywhere. The announcement is pub/sub,
so it can be missed: whoever follows it gets a Resync with every new subscription and reads the hashes then.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from typing import Annotated

import msgspec

from opentalking.store import keys, scripts
from opentalking.store.client import LOST, Backoff, Client
from opentalking.store.errors import UnknownSession
from opentalking.store.records import Interrupt, Resync

log = logging.getLogger(__name__)

_HIGHEST = 2**40  # of a generation typed by hand: Lua counts exactly to 2**53, and turns must be able to follow


class Interrupts(Client):
    """`HINCRBY … generation` with `PUBLISH opentalking:interrupt`, and its subscribers."""

    async def next_generation(self, session_id: str, only: int | None = None) -> int:
        """Raise the generation and announce it, in one step. Raises UnknownSession.

        `only`: end this generation; if another has followed it already, nothing is raised. Returns the current one.
        """
        arguments = (session_id, keys.INTERRUPT, time.time(), "" if only is None else only)
        generation = int(await self._script(scripts.NEXT_GENERATION, [keys.session(session_id)], *arguments))
        if generation < 0:
            raise UnknownSession(session_id)
        return generation

    async def reach_generation(self, session_id: str, generation: int) -> None:
        """Bring the hash up to a generation that was announced by hand, or the turns to come would be older than it."""
        await self._script(scripts.REACH_GENERATION, [keys.session(session_id)], generation)

    async def generation(self, session_id: str) -> int:
        """The current generation. Raises UnknownSession."""
        value = await self._call("HGET", keys.session(session_id), "generation")
        if value is None:
            raise UnknownSession(session_id)
        return int(value)

    async def interrupts(self) -> AsyncGenerator[Interrupt | Resync, None]:
        """Interrupts of all sessions, for ever. A Resync comes first, and again after each lost connection."""
        backoff = Backoff()
        while True:
            async with self._waiting.pubsub() as channel:
                try:
                    await channel.subscribe(keys.INTERRUPT)
                    while True:
                        message = await channel.get_message(timeout=None)
                        backoff.reset()
                        if message is None:
                            continue
                        if message["type"] == "subscribe":
                            yield Resync()
                        elif (interrupt := parse_interrupt(message["data"])) is not None:
                            yield interrupt
                except LOST as error:
                    log.warning("following %s: %s; subscribing again", keys.INTERRUPT, error)
            await backoff.wait()


class _Announcement(msgspec.Struct):
    session_id: str
    generation: Annotated[int, msgspec.Meta(ge=0, le=_HIGHEST)] | None = None


def parse_interrupt(payload: str) -> Interrupt | None:
    """`{"session_id", "generation"?}`, or a session id as typed by hand. Anything else is logged, and None."""
    text = payload.strip()
    try:
        if text.startswith("{"):
            announced = msgspec.json.decode(text, type=_Announcement)
            return Interrupt(announced.session_id, announced.generation)
        if text and not any(character.isspace() for character in text):
            return Interrupt(text)
    except msgspec.MsgspecError:
        pass
    log.warning("not an interrupt: %.200r", payload)
    return None

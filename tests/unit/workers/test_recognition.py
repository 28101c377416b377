"""Recognisers of a process: loaded behind everybody's back, once, and told by the heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import ClassVar

import pytest

from opentalking.config import Settings
from opentalking.stt.base import STTError, Transcript
from opentalking.types import AudioChunk
from workers.recognition import Recognisers


class Slow:
    """Is loaded when the test says so, or fails."""

    provider = "slow"
    answers_pauses = False
    made: ClassVar[list[Slow]] = []
    failure: ClassVar[str] = ""

    def __init__(self, settings: Settings) -> None:
        self.may_load = asyncio.Event()
        self.closed = False
        Slow.made.append(self)

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        return None

    async def warmup(self) -> None:
        if Slow.failure:
            raise STTError(Slow.failure)
        await self.may_load.wait()

    async def transcribe_stream(self, audio: AsyncIterator[AudioChunk]) -> AsyncGenerator[Transcript, None]:
        yield Transcript("", is_final=True)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "made", [])
    monkeypatch.setattr(Slow, "failure", "")


def settings(provider: str = "slow") -> Settings:
    return Settings(stt_provider=provider, stt_plugins=f"slow={__name__}:Slow,absent=no_such_module:Absent")


async def started(provider: str = "slow") -> Recognisers:
    recognisers = Recognisers(settings(provider))
    await recognisers.look_around()
    recognisers.start()
    return recognisers


async def loading() -> Slow:
    """The engine that is being loaded; it is made in a thread."""
    async with asyncio.timeout(10):
        while True:
            if Slow.made:
                return Slow.made[0]
            await asyncio.sleep(0.01)


async def test_the_default_is_told_as_loading_from_the_first_beat_and_as_available_when_it_is() -> None:
    recognisers = await started()
    told = recognisers.info()
    assert told["default_stt"] == "slow"
    assert told["stt"]["slow"] == {"available": False, "loading": True, "reason": "it is being loaded"}
    assert told["stt"]["absent"]["available"] is False and "no_such_module" in told["stt"]["absent"]["reason"]
    (await loading()).may_load.set()
    await recognisers.get("")
    assert recognisers.info()["stt"]["slow"] == {"available": True, "loading": False, "reason": ""}
    await recognisers.stop()
    assert Slow.made[0].closed


async def test_who_speaks_too_early_waits_and_it_is_loaded_once() -> None:
    recognisers = await started()
    waiting = [asyncio.create_task(recognisers.get(name)) for name in ("", "slow", "")]
    (await loading()).may_load.set()
    assert set(await asyncio.gather(*waiting)) == {Slow.made[0]}
    assert len(Slow.made) == 1
    await recognisers.stop()


async def test_one_that_cannot_be_loaded_says_why_and_is_tried_anew() -> None:
    Slow.failure = "no weights"
    recognisers = await started()
    with pytest.raises(STTError, match="no weights"):
        await recognisers.get("")
    assert recognisers.info()["stt"]["slow"] == {"available": False, "loading": False, "reason": "no weights"}
    Slow.failure = ""
    trying = asyncio.create_task(recognisers.get("slow"))
    async with asyncio.timeout(10):
        while len(Slow.made) < 2:
            await asyncio.sleep(0.01)
            assert not trying.done()
    Slow.made[1].may_load.set()
    assert await trying is Slow.made[1]
    assert recognisers.info()["stt"]["slow"]["available"] is True
    await recognisers.stop()


async def test_none_loads_nothing_and_unknown_ones_are_told_by_name() -> None:
    recognisers = await started("none")
    assert Slow.made == [] and recognisers.info()["default_stt"] == ""
    with pytest.raises(STTError, match="no recogniser can be used"):
        await recognisers.get("")
    with pytest.raises(STTError, match="there is no recogniser 'siri'"):
        await recognisers.get("siri")
    await recognisers.stop()


async def test_a_misspelt_default_leaves_the_process_without_ears_and_alive() -> None:
    recognisers = await started("wisper")
    with pytest.raises(STTError, match="no recogniser can be used"):
        await recognisers.get("")
    await recognisers.stop()

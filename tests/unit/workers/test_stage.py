"""A session's playout and its browsers, over real connections: which one is spoken to, and what its loss ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from opentalking.config import Settings
from opentalking.rtc.idle import LoopLibrary, write_clip
from opentalking.rtc.peer import OfferError, PeerOptions
from opentalking.store import Store
from shm import NodeFolder
from tests.unit.rtc.browser import Browser
from tests.unit.rtc.stage import moving_face
from tests.unit.store.sessions import SID, new_session
from workers.lifecycle import Worker
from workers.stage import StageSession

SIZE = 160
OPTIONS = PeerOptions("h264", 1_000_000, 32_000, 0.3)


class HeldUp:
    """The Store, whose generations are raised only after `release`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked = asyncio.Event()
        self.release = asyncio.Event()

    async def next_generation(self, session_id: str, only: int | None = None) -> int:
        self.asked.set()
        await self.release.wait()
        return await self._store.next_generation(session_id, only)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def held_up(store: Store) -> HeldUp:
    return HeldUp(store)


@pytest.fixture
async def stage(store: Store, held_up: HeldUp, tmp_path: Path) -> AsyncIterator[StageSession]:
    clip = tmp_path / "clip.i420"
    write_clip(clip, moving_face(50))
    await store.create_session(new_session(width=SIZE, height=SIZE))
    await store.set_idle_clip(SID, str(clip))
    session = await store.get_session(SID)
    assert session is not None
    worker = Worker("rtc", Settings(node="a"), held_up, NodeFolder(tmp_path / "node"))  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as executor:
        made = StageSession(session, tmp_path / "node" / SID, worker, OPTIONS, LoopLibrary(1_000_000), executor)
        yield made
        await made.close()


async def connected(stage: StageSession) -> Browser:
    browser = Browser()
    await browser.accept(await stage.answer(await browser.offer()))
    return browser


async def test_a_turn_asked_for_while_a_loss_is_still_being_accounted_for_is_not_ended_by_it(
    stage: StageSession, held_up: HeldUp, store: Store
) -> None:
    lost = await connected(stage)
    await lost.connection.close()
    await held_up.asked.wait()
    back = await connected(stage)
    turn = await store.next_generation(SID)
    stage.board.raise_generation(turn)
    held_up.release.set()
    await asyncio.gather(*stage._tasks)
    assert (await store.generation(SID), stage.board.generation) == (turn, turn)
    await back.connection.close()


async def test_what_nobody_heard_is_ended_with_the_loss(stage: StageSession, held_up: HeldUp, store: Store) -> None:
    lost = await connected(stage)
    turn = await store.next_generation(SID)
    stage.board.raise_generation(turn)
    await lost.connection.close()
    await held_up.asked.wait()
    held_up.release.set()
    await asyncio.gather(*stage._tasks)
    assert stage.board.generation == turn + 1


async def test_an_offer_that_cannot_be_answered_leaves_the_browser_before_it(stage: StageSession) -> None:
    browser = await connected(stage)
    with pytest.raises(OfferError):
        await stage.answer("v=0\r\n")
    assert len(await browser.receive("audio", 20)) == 20
    assert browser.connection.connectionState == "connected"
    await browser.connection.close()


async def test_a_session_that_ends_while_its_browser_is_let_go_takes_nothing_from_under_it(
    stage: StageSession, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await connected(stage)
    await browser.receive("audio", 1)
    peer = stage._peer
    assert peer is not None
    letting_go = asyncio.create_task(stage._drop_peer())
    await asyncio.sleep(0)
    letting_go.cancel()
    await stage.close()
    assert peer.transmitter is None
    await browser.connection.close()
    assert "failed" not in caplog.text


async def test_a_browser_that_takes_the_answer_and_never_connects_is_not_waited_for_longer_than_the_grace(
    stage: StageSession,
) -> None:
    browser, loop = await connected(stage), asyncio.get_running_loop()
    await browser.receive("audio", 1)
    assert stage._leaving is None
    absent = Browser()
    await stage.answer(await absent.offer())
    assert stage._leaving is not None
    assert stage._leaving.when() <= loop.time() + Settings(node="a").peer_grace_s
    await asyncio.gather(browser.connection.close(), absent.connection.close())

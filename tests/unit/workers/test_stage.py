"""A session's playout and its browsers, over real connections: which one is spoken to, and what its loss ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiortc.mediastreams import AudioStreamTrack

from opentalking.config import Settings
from opentalking.rtc.idle import LoopLibrary, write_clip
from opentalking.rtc.peer import OfferError, PeerOptions
from opentalking.slots import MicFlags, av_views, unpack_track, write_av_header
from opentalking.store import ShowAvatar, Store
from opentalking.types import PLAYBACK_SAMPLES
from shm import Board, Cursor, Mark, MarkKind, NodeFolder, Writer
from tests.unit.rtc.browser import Browser
from tests.unit.rtc.stage import moving_face, turn_of
from tests.unit.store.sessions import SID, new_session
from workers import links
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
def loops() -> LoopLibrary:
    return LoopLibrary(1_000_000)


@pytest.fixture
async def stage(store: Store, held_up: HeldUp, tmp_path: Path, loops: LoopLibrary) -> AsyncIterator[StageSession]:
    clip = tmp_path / "clip.i420"
    write_clip(clip, moving_face(50))
    await store.create_session(new_session(width=SIZE, height=SIZE))
    await store.set_idle_clip(SID, str(clip))
    session = await store.get_session(SID)
    assert session is not None
    worker = Worker("rtc", Settings(node="a"), held_up, NodeFolder(tmp_path / "node"))  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as executor:
        made = StageSession(session, tmp_path / "node" / SID, worker, OPTIONS, loops, executor)
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


def speak(folder: Path, slots: int) -> None:
    """Put a turn of generation 1 into the session's ring, as inference does."""
    ring = links.av_producer(folder, SIZE, SIZE)
    for slot in turn_of(1, slots):
        payload = ring.try_claim()
        assert payload is not None
        write_av_header(payload, slot.info, slot.pose)
        views = av_views(payload, SIZE, SIZE)
        views.pcm[:] = slot.pcm
        views.frame[:] = 128
        ring.publish(1)
    ring.close()


async def marked(board: Board, kind: MarkKind) -> Mark:
    """The next mark of this kind; those before it are dropped."""
    rang = asyncio.Event()
    board.listen(rang.set)
    while True:
        found = [mark for mark in board.read_marks() if mark.kind is kind]
        if found:
            return found[0]
        await rang.wait()
        rang.clear()


async def test_a_turn_is_held_by_the_blackboard_which_is_told_where_it_stands(
    stage: StageSession, tmp_path: Path
) -> None:
    board = links.open_board(tmp_path / "node" / SID, Writer.SPEECH)
    browser = await connected(stage)
    await browser.receive("audio", 1)
    speak(tmp_path / "node" / SID, 10)
    async with asyncio.timeout(30):
        started = await marked(board, MarkKind.FRAGMENT_STARTED)
        assert started.video_timestamp > 0
        board.write_paused(1)
        paused = await marked(board, MarkKind.PAUSED)
        assert stage.board.cursor == Cursor(1, 0, paused.sample)
        await browser.receive("audio", 5)
        assert stage.board.cursor == Cursor(1, 0, paused.sample)
        board.write_paused(0)
        resumed = await marked(board, MarkKind.RESUMED)
        ended = await marked(board, MarkKind.TURN_ENDED)
    assert resumed.sample == paused.sample
    assert ended.sample == 10 * PLAYBACK_SAMPLES
    board.close()
    await browser.connection.close()


LARGE = 192


def another(tmp_path: Path, face: int, size: int = LARGE) -> ShowAvatar:
    clip = tmp_path / f"clip{size}.i420"
    write_clip(clip, moving_face(50, size))
    return ShowAvatar(SID, face, "other", "portrait", size, size, str(clip))


async def told(store: Store, count: int) -> list[int]:
    """The widths of the faces that were told to be on screen, `count` of them."""
    found: list[int] = []
    async with asyncio.timeout(30):
        async for event in store.events(SID, "0", 5.0):
            if event is not None and event.event == "session.avatar":
                found.append(event.data["width"])
            if len(found) == count:
                break
    return found


async def test_another_face_is_seen_at_the_browser_told_and_the_ring_before_removed(
    stage: StageSession, store: Store, tmp_path: Path
) -> None:
    browser = await connected(stage)
    await browser.receive("video", 3)
    await stage.show(another(tmp_path, 1))
    assert await told(store, 1) == [LARGE]
    async with asyncio.timeout(30):
        while (await browser.receive("video", 1))[0].width != LARGE:
            pass
    rings = {path.name for path in (tmp_path / "node" / SID).glob("av*")}
    assert rings == {"av1", "av1.data", "av1.space"}
    await browser.connection.close()


async def test_a_face_that_came_while_nobody_looked_is_what_the_first_browser_sees(
    stage: StageSession, held_up: HeldUp, store: Store, tmp_path: Path
) -> None:
    held_up.release.set()
    stage.board.raise_generation(await store.next_generation(SID))
    speak(tmp_path / "node" / SID, 3)  # into a ring that nobody will ever play
    face = another(tmp_path, 1)
    await store.set_face(face)
    await stage.show(face)
    assert stage.board.generation == 2  # so whoever waits for its end is not left waiting
    browser = await connected(stage)
    assert (await browser.receive("video", 1))[0].width == LARGE
    await browser.connection.close()


async def test_a_face_that_is_told_twice_is_shown_once(stage: StageSession, store: Store, tmp_path: Path) -> None:
    """As after a crash: the second time it is the one that was opened, and its client may not have been told."""
    for count in (1, 2):
        await stage.show(another(tmp_path, 2))
        assert await told(store, count) == [LARGE] * count
    await stage.show(another(tmp_path, 1, SIZE))  # older
    await store.emit(SID, "session.avatar", {"width": 0})
    assert await told(store, 3) == [LARGE, LARGE, 0]


async def test_a_browser_that_comes_before_the_command_sees_the_face_that_the_hash_says(
    stage: StageSession, store: Store, tmp_path: Path
) -> None:
    await store.set_face(another(tmp_path, 1))
    browser = await connected(stage)
    assert (await browser.receive("video", 1))[0].width == LARGE
    await browser.connection.close()


async def speaking(stage: StageSession) -> Browser:
    """A browser whose microphone is on."""
    browser = Browser()
    browser.connection.addTrack(AudioStreamTrack())
    browser.connection.addTransceiver("video", direction="recvonly")
    await browser.accept(await stage.answer(await browser.offer()))
    return browser


async def test_what_a_browser_says_comes_out_of_the_track_ring_and_the_next_browser_takes_over(
    stage: StageSession, tmp_path: Path
) -> None:
    folder = tmp_path / "node" / SID
    silent = await connected(stage)
    await silent.receive("audio", 5)
    assert not (folder / "track").exists()
    ring, rang = links.track_consumer(folder), asyncio.Event()
    ring.listen(rang.set)
    heard: list[tuple[int, MicFlags]] = []

    async def until(flags: MicFlags) -> None:
        while not heard or heard[-1][1] != flags:
            while (slot := ring.front()) is None:
                await rang.wait()
                rang.clear()
            packet = unpack_track(slot.payload)
            heard.append((packet.track, packet.flags))
            ring.advance()

    async with asyncio.timeout(30):
        first = await speaking(stage)
        await until(MicFlags.NONE)
        second = await speaking(stage)
        await until(MicFlags.END)
        await until(MicFlags.START)
        await until(MicFlags.NONE)
        await second.connection.close()
        await until(MicFlags.END)
    tracks = list(dict.fromkeys(track for track, _ in heard))
    assert len(tracks) == 2
    for track in tracks:
        flags = [flags for number, flags in heard if number == track]
        assert flags == [MicFlags.START, *[MicFlags.NONE] * (len(flags) - 2), MicFlags.END]
    assert stage.figures()["microphone_dropped"] == 0
    ring.close()
    await asyncio.gather(silent.connection.close(), first.connection.close())


async def test_the_clips_of_deleted_avatars_go_with_the_session_that_showed_them(
    stage: StageSession, store: Store, tmp_path: Path, loops: LoopLibrary
) -> None:
    def mapped() -> set[str]:
        lines = Path("/proc/self/maps").read_text().splitlines()
        return {line.partition(f"{tmp_path}/")[2] for line in lines if f"{tmp_path}/clip" in line}

    gc.disable()  # which comes when it likes, and counts objects, not megabytes
    try:
        browser = await connected(stage)
        await browser.receive("video", 3)
        await stage.show(another(tmp_path, 1))
        assert await told(store, 1) == [LARGE]
        for name in ("clip.i420", f"clip{LARGE}.i420"):
            (tmp_path / name).unlink()
        loops.sweep()
        assert f"clip{LARGE}.i420 (deleted)" in mapped()
        await stage.close()
        async with asyncio.timeout(30):
            while True:
                if not mapped():
                    break
                await asyncio.sleep(0.05)
        await browser.connection.close()
    finally:
        gc.enable()

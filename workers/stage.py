"""A session as the rtc process has it: the ring it plays from, the blackboard it reports to, the browser it plays for.

The session outlives its browsers. A peer that becomes unreachable has `peer_grace_s` to come back, by itself (ICE) or
with a new offer after a reload; only then does the session end. A browser that closes its page says so in DTLS: what
was being spoken stops at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from opentalking.rtc.idle import LoopLibrary
from opentalking.rtc.peer import OfferError, Peer, PeerOptions
from opentalking.rtc.playout import AVSlot, Playout
from opentalking.slots import av_views, read_av_header
from opentalking.store import Session, ShowAvatar, StoreError
from opentalking.types import FRAME_MS
from shm import Board, Cursor, Mark, MarkKind, Writer
from workers import links, switching
from workers.lifecycle import Worker
from workers.open_microphone import OpenMicrophone

log = logging.getLogger(__name__)


class RingSource:
    """The av ring of a face as the playout's source; the blackboard's generation is the floor."""

    def __init__(self, folder: Path, board: Board, width: int, height: int, face: int = 0) -> None:
        self._ring = links.av_consumer(folder, width, height, face)
        self._board = board
        self._size = (width, height)
        self.face = face

    @property
    def generation(self) -> int:
        return self._board.generation

    @property
    def paused(self) -> int:
        return self._board.paused

    @property
    def depth(self) -> int:
        return self._ring.depth

    def front(self) -> AVSlot | None:
        slot = self._ring.front(self._board.generation)
        if slot is None:
            return None
        self._board.raise_generation(slot.generation)
        info, pose = read_av_header(slot.payload)
        views = av_views(slot.payload, *self._size)
        return AVSlot(slot.generation, info, pose, views.pcm, views.frame)

    def advance(self) -> None:
        self._ring.advance()

    def close(self) -> None:
        self._ring.close()


class BoardObserver:
    """Writes the playout cursor and the marks."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def posed(self, pose: int) -> None:
        self._board.write_pose(pose)

    def heard(self, generation: int, fragment: int, sample: int) -> None:
        self._board.write_cursor(Cursor(generation, fragment, sample))

    def fragment_started(self, generation: int, fragment: int, at: float, video_timestamp: int) -> None:
        self._board.mark(Mark(MarkKind.FRAGMENT_STARTED, generation, fragment, 0, at, video_timestamp))

    def progress(self, generation: int, fragment: int, sample: int, at: float) -> None:
        self._board.mark(Mark(MarkKind.PROGRESS, generation, fragment, sample, at))

    def turn_ended(self, generation: int, fragment: int, sample: int, at: float) -> None:
        self._board.mark(Mark(MarkKind.TURN_ENDED, generation, fragment, sample, at))

    def turn_cut(self, generation: int, fragment: int, sample: int, at: float) -> None:
        self._board.mark(Mark(MarkKind.TURN_CUT, generation, fragment, sample, at))

    def paused(self, generation: int, fragment: int, sample: int, at: float, video_timestamp: int) -> None:
        self._board.mark(Mark(MarkKind.PAUSED, generation, fragment, sample, at, video_timestamp))

    def resumed(self, generation: int, fragment: int, sample: int, at: float, video_timestamp: int) -> None:
        self._board.mark(Mark(MarkKind.RESUMED, generation, fragment, sample, at, video_timestamp))


class StageSession:
    """One session's playout and its current browser."""

    def __init__(
        self,
        session: Session,
        folder: Path,
        worker: Worker,
        options: PeerOptions,
        loops: LoopLibrary,
        executor: Executor,
    ) -> None:
        self.session = session  # as it was when it was opened
        self._folder = folder
        self._worker = worker
        self._options = options
        self._loops = loops
        self._executor = executor
        self.board = links.open_board(folder, Writer.RTC)
        self.board.raise_generation(session.generation)
        for older in range(session.face):
            links.remove_av(folder, older)
        source = RingSource(folder, self.board, session.width, session.height, session.face)
        self._sources = deque([source])  # the one that plays, and those of faces that follow
        self._microphone = OpenMicrophone(folder)
        self._playout: Playout | None = None
        self._peer: Peer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()  # browsers that are being let go
        self._leaving: asyncio.TimerHandle | None = None
        if session.peer in ("connected", "connecting"):  # to the process before this one
            self._wait_for_browser(worker.config.peer_grace_s, "peer_gone")
            self._start(self._report("closed"))
        else:
            self._wait_for_browser(worker.config.session_idle_timeout_s, "no_peer")

    async def answer(self, offer_sdp: str) -> str:
        """Connect a browser; one that was connected before is let go, and speech goes on at the new one. An offer
        that cannot be answered leaves the one before as it is. Raises OfferError."""
        playout = await self._prepared()
        peer = Peer(self._options, lambda state: self._peer_is(peer, state), self._microphone.connection())
        try:
            sdp = await peer.answer(offer_sdp, playout, self._executor)
        except BaseException:
            await self._let_go(peer)
            raise
        before, self._peer = self._peer, peer
        self._expect_connection()
        if before is not None:
            await self._let_go(before)
        return sdp

    async def show(self, command: ShowAvatar) -> None:
        """Another face, as soon as what the one before has drawn is played.

        Raises OSError or ValueError if it cannot be read."""
        store = self._worker.store
        if command.face > self._sources[-1].face:
            face = self._loops.face(Path(command.idle_clip), command.width, command.height)
            source = RingSource(self._folder, self.board, command.width, command.height, command.face)
            self._sources.append(source)
            if self._playout is not None:
                self._playout.follow(source, face, lambda: self._shown(command))
                return
            if self._sources[0].front() is not None:  # the beginning of a turn that nobody has heard
                self.board.raise_generation(await store.next_generation(command.session_id))
            self._shown(command)
        elif command.face == self._sources[0].face:  # opened with it, and not told yet, if a process died
            await switching.tell(store, command)

    def _shown(self, command: ShowAvatar) -> None:
        before = self._sources.popleft()
        before.close()
        links.remove_av(self._folder, before.face)
        self._start(switching.tell(self._worker.store, command))

    def figures(self) -> dict[str, float]:
        """What has gone wrong since the browser connected: how often and for how long the clock stalled, pictures that
        gave way to the next, how evenly they left, what of the microphone's sound was lost on the way; and, since the
        session began, frames that came too late and packets of the microphone that nobody took."""
        figures: dict[str, float] = {
            "starved_frames": self._playout.starved if self._playout is not None else 0,
            "microphone_dropped": self._microphone.dropped,
        }
        if self._peer is None:
            return figures
        clock, transmitter, microphone = self._peer.clock, self._peer.transmitter, self._peer.microphone
        return figures | {
            "microphone_lost_ms": microphone.lost_ms if microphone is not None else 0.0,
            "clock_stalls": clock.stalls,
            "clock_stalled_ms": round(clock.stalled_s * 1000, 3),
            "dropped_pictures": transmitter.dropped if transmitter is not None else 0,
            "picture_gap_p99_ms": round(transmitter.gap_p99_ms, 2) if transmitter is not None else 0.0,
        }

    async def _prepared(self) -> Playout:
        """The playout; it needs the idle clip that the inference worker has made by the time it is ready."""
        if self._playout is None:
            session = await self._worker.store.get_session(self.session.session_id)
            if session is None or not session.idle_clip:
                raise OfferError("the session is still loading")
            try:
                if session.face > self._sources[-1].face:  # whose command is still on its way
                    await self.show(switching.shown(session))
                face = self._loops.face(Path(session.idle_clip), session.width, session.height)
            except (OSError, ValueError) as error:
                raise OfferError(f"the avatar's idle clip cannot be read: {error}") from error
            slots = round(self._worker.config.prebuffer_ms / FRAME_MS)
            self._playout = Playout(self._sources[0], BoardObserver(self.board), face, slots)
        return self._playout

    def _peer_is(self, peer: Peer, state: str) -> None:
        if peer is not self._peer:
            return
        log.info("%s: peer %s", self.session.session_id, state)
        if state == "connected":
            self._stop_waiting()
        elif state in ("disconnected", "closed"):
            self._wait_for_browser(self._worker.config.peer_grace_s, "peer_gone")
        if state == "closed":
            self._start(self._peer_left(peer))
        self._start(self._report(state))

    async def _report(self, state: str) -> None:
        session_id = self.session.session_id
        try:
            await self._worker.store.set_peer(session_id, "disconnected" if state == "closed" else state)  # type: ignore[arg-type]
            data = {"session_id": session_id, "state": "lost" if state == "closed" else state}
            await self._worker.store.emit(session_id, "session.peer", data)
        except StoreError as error:
            log.warning("%s: %s", session_id, error)

    async def _peer_left(self, peer: Peer) -> None:
        """Nobody listens any more: what is being spoken, rendered or thought of stops."""
        if peer is not self._peer:  # the next browser is here already
            return
        unheard = self.board.generation
        await self._drop_peer()
        if self._peer is not None:  # the next browser came meanwhile
            return
        session_id = self.session.session_id
        self.board.raise_generation(await self._worker.store.next_generation(session_id, only=unheard))
        if self._playout is not None:
            self._playout.settle()  # no clock ticks any more

    def _wait_for_browser(self, seconds: float, reason: str) -> None:
        self._stop_waiting()
        loop = asyncio.get_running_loop()
        self._leaving = loop.call_later(seconds, lambda: self._start(self._give_up(reason)))

    def _expect_connection(self) -> None:
        """A browser was answered: it gets the time to connect, however little is left of an older wait, and no more."""
        grace_s = self._worker.config.peer_grace_s
        if self._leaving is None or self._leaving.when() < asyncio.get_running_loop().time() + grace_s:
            self._wait_for_browser(grace_s, "peer_gone")

    def _stop_waiting(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    async def _give_up(self, reason: str) -> None:
        log.info("%s ends: %s", self.session.session_id, reason)
        await self._worker.end_session(self.session, "closed", reason)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("%s", self.session.session_id, exc_info=error)

    async def _drop_peer(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            await self._let_go(peer)

    async def _let_go(self, peer: Peer) -> None:
        """Close it to the end, whatever becomes of us: cancelled half-way, aiortc's own closing fails."""
        closing = asyncio.create_task(peer.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.shield(closing)

    async def close(self) -> None:
        self._stop_waiting()
        for task in self._tasks:
            task.cancel()
        await self._drop_peer()
        await asyncio.gather(*self._closing, return_exceptions=True)  # until then they look into the ring
        self._playout = None
        self._microphone.close()
        for source in self._sources:
            source.close()
        self.board.close()

"""One session with a server: opened, kept, opened again when it breaks, on a thread that may wait.

    any thread     hear, end, forget, close ──call_soon_threadsafe──┐
                                                                    v
    the loop       connect ── opening ── geometry ──> send as many messages as the server takes at once
                      ^                               receive; each answer belongs to the oldest message without one
                      │                                             │
                      └── pause, longer each time <── broken, late, refused: turns in progress are lost

A turn that is forgotten does not break the connection: answers to what was sent for it are counted and thrown away. A
turn that is lost is told once; the next one finds a new connection, or is lost in turn as soon as that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from opentalking.models.adapter import ModelError
from opentalking.models.remote import wire
from opentalking.models.remote.chunker import Chunker
from opentalking.models.remote.endpoint import Endpoint
from opentalking.models.remote.failures import Broken, ending_of, sentence_of
from opentalking.models.remote.timeline import Timeline
from opentalking.models.remote.wire import Geometry, Opening, WireError
from opentalking.types import Int16

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
FAREWELL_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """`open_s` for a connection and its opening, `reply_s` for each answer."""

    open_s: float
    reply_s: float


class Listener(Protocol):
    """Who is told; always on the loop's thread."""

    def opened(self, geometry: Geometry) -> None: ...

    def drawn(self, turn: int, jpegs: list[bytes]) -> None:
        """The next slots of a turn, one JPEG each."""

    def lost(self, turn: int, error: ModelError) -> None:
        """This turn gets no more pictures."""


@dataclass(slots=True)
class _Asked:
    """A message that is to be answered. `sent` samples, of which `real` were spoken; `at` in the loop's time."""

    turn: int
    sent: int
    real: int
    last: bool
    at: float


class Connection:
    """Tells `listener` of what comes. Turns are numbered, and only go up."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        endpoint: Endpoint,
        opening: Opening,
        deadlines: Deadlines,
        listener: Listener,
    ) -> None:
        self._loop = loop
        self._endpoint = endpoint
        self._opening = wire.encode_opening(opening, endpoint.dialect)
        self._deadlines = deadlines
        self._listener = listener
        self._chunker = Chunker()
        self._timelines: dict[int, Timeline[bytes]] = {}  # turns of which something was sent, until their last answer
        self._asked: deque[_Asked] = deque()
        self._oldest_turn = 0  # those before are forgotten or lost
        self._reset_due = False
        self._stirred = asyncio.Event()
        self._failures = 0  # since there was a connection
        self._deadline: asyncio.Timeout | None = None  # while there is a connection
        self._answered_at = 0.0
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._given_up: asyncio.Future[None] | None = None
        self._spoilt: set[int] = set()  # turns whose pictures cannot be used though all have come
        self._task: asyncio.Task[None] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._post(self._start)

    # ---- from any thread

    def hear(self, turn: int, pcm: Int16) -> None:
        """40 ms of a turn; int16 (640,), not to be written to any more."""
        self._post(self._hear, turn, pcm)

    def end(self, turn: int) -> None:
        """All of this turn was said."""
        self._post(self._end, turn)

    def forget(self, turn: int) -> None:
        """Turns before this one are not wanted any more."""
        self._post(self._forget, turn)

    def give_up(self, turn: int, why: str) -> None:
        """What the server sent for this turn is of no use: begin anew."""
        self._post(self._give_up, turn, why)

    def close(self) -> None:
        self._post(self._close)

    def _post(self, call: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(call, *arguments)

    # ---- on the loop

    def _start(self) -> None:
        self._task = self._loop.create_task(self._run())

    def _hear(self, turn: int, pcm: Int16) -> None:
        if turn >= self._oldest_turn:
            self._chunker.hear(turn, pcm)
            self._stirred.set()

    def _end(self, turn: int) -> None:
        if turn >= self._oldest_turn:
            self._chunker.end(turn)
            self._stirred.set()

    def _forget(self, turn: int) -> None:
        self._oldest_turn = max(self._oldest_turn, turn)
        self._chunker.forget()
        self._reset_due = self._reset_due or bool(self._timelines)
        self._timelines.clear()
        self._stirred.set()

    def _give_up(self, turn: int, why: str) -> None:
        given_up = self._given_up
        if given_up is None or given_up.done() or turn < self._oldest_turn:
            self._listener.lost(turn, self._error(WireError(why)))
            return
        self._spoilt = {turn}
        given_up.set_exception(WireError(why))

    def _close(self) -> None:
        self._farewell = self._loop.create_task(self._say_goodbye())

    async def _say_goodbye(self) -> None:
        if self._socket is not None and not self._socket.closed:
            with contextlib.suppress(OSError, TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._socket.send_str(wire.closing(self._endpoint.dialect))
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, aiohttp.ClientError):  # of closing what is broken already
                await self._live()
            self._failures += 1
            await self._pause()

    async def _live(self) -> None:
        """One connection, from its beginning until it breaks; what is lost is told before it is closed."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                geometry = await self._open(stack)
                self._failures = 0
                await self._converse(geometry)
            except Exception as error:  # whatever it is: a turn must not be waited for, and the next may work
                self._lose(self._error(error))

    async def _pause(self) -> None:
        """Longer each time, and not in step with others; somebody who speaks is not kept waiting."""
        longer = FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(LONGEST_PAUSE_S, longer) * random.uniform(0.5, 1.5)):
                await self._stirred.wait()

    async def _open(self, stack: contextlib.AsyncExitStack) -> Geometry:
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(self._deadlines.open_s):
                client = await stack.enter_async_context(aiohttp.ClientSession(headers=endpoint.headers))
                # a server that computes in its loop answers a ping no sooner than it answers us
                beat, limit = 2 * self._deadlines.reply_s, wire.MAX_MESSAGE_BYTES
                patience = aiohttp.ClientWSTimeout(ws_close=FAREWELL_S)
                connecting = client.ws_connect(endpoint.url, max_msg_size=limit, heartbeat=beat, timeout=patience)
                self._socket = await stack.enter_async_context(connecting)
                await self._socket.send_str(self._opening)
                answer = await self._socket.receive()
        except TimeoutError:
            raise Broken(f"no answer to the opening within {self._deadlines.open_s:g} s") from None
        if answer.type is not aiohttp.WSMsgType.TEXT:
            raise Broken(f"{ending_of(self._socket, answer)} instead of an answer to the opening")
        return wire.parse_geometry(answer.data, endpoint.dialect)

    async def _converse(self, geometry: Geometry) -> None:
        """Send and receive until it breaks; raises what broke it."""
        self._reset_due = False
        self._listener.opened(geometry)
        self._stirred.set()
        try:
            async with asyncio.timeout(None) as self._deadline:
                self._given_up = self._loop.create_future()
                tasks = [self._loop.create_task(run(geometry)) for run in (self._send, self._receive)]
                await _first_failure([*tasks, self._given_up])
        except TimeoutError:
            raise Broken(f"no pictures within {self._deadlines.reply_s:g} s") from None

    async def _send(self, geometry: Geometry) -> None:
        assert self._socket is not None
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            if self._reset_due and "reset" in geometry.extensions:
                await self._socket.send_str(wire.encode_control("reset"))
            self._reset_due = False
            while await self._send_next(self._socket, geometry):
                pass

    async def _send_next(self, socket: aiohttp.ClientWebSocketResponse, geometry: Geometry) -> bool:
        """Send what may be sent now, if there is anything."""
        if len(self._asked) >= geometry.pipeline or self._reset_due:
            return False
        message = self._chunker.take(geometry.chunk_samples, geometry.partial, not self._asked)
        if message is None:
            return False
        turn, sent, last = message.turn, len(message.pcm), message.last
        self._timelines.setdefault(turn, Timeline(geometry))
        if sent:
            self._expect(_Asked(turn, sent, message.real, last and not geometry.partial, self._loop.time()))
            await socket.send_bytes(wire.encode_sound(message.pcm))
        if last and geometry.partial:
            self._expect(_Asked(turn, 0, 0, True, self._loop.time()))
            await socket.send_str(wire.encode_control("end"))
        elif last and not sent:
            self._end_late(turn)
        return True

    def _end_late(self, turn: int) -> None:
        """The message that turned out to be a turn's last was sent before that was known."""
        if self._asked and self._asked[-1].turn == turn:
            self._asked[-1].last = True
        else:
            self._timelines.pop(turn, None)

    def _expect(self, asked: _Asked) -> None:
        self._asked.append(asked)
        self._set_deadline()

    def _set_deadline(self) -> None:
        assert self._deadline is not None
        since = max(self._asked[0].at, self._answered_at) if self._asked else 0.0
        self._deadline.reschedule(since + self._deadlines.reply_s if self._asked else None)

    async def _receive(self, geometry: Geometry) -> None:
        assert self._socket is not None
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self._take_answer(wire.parse_pictures(message.data))
            elif message.type is aiohttp.WSMsgType.TEXT:
                wire.heed_news(message.data)
            else:
                raise Broken(ending_of(self._socket, message))
        raise Broken(ending_of(self._socket, None))

    def _take_answer(self, jpegs: list[bytes]) -> None:
        if not self._asked:
            raise WireError("pictures that nobody asked for")
        asked = self._asked.popleft()
        self._answered_at = self._loop.time()
        self._set_deadline()
        self._stirred.set()
        timeline = self._timelines.get(asked.turn)
        if timeline is None:
            return
        if asked.last:
            del self._timelines[asked.turn]
        try:
            slots = timeline.add(jpegs, asked.real, asked.sent, asked.last)
        except WireError:
            self._timelines[asked.turn] = timeline  # it is lost with all others
            raise
        if slots:
            self._listener.drawn(asked.turn, slots)

    def _lose(self, error: ModelError) -> None:
        """All turns in progress are over, and those that wait behind them."""
        self._socket = None
        turns = sorted({*self._timelines, *self._chunker.turns, *self._spoilt})
        self._spoilt = set()
        _log.log(logging.WARNING if turns else logging.INFO, "%s", error)
        self._timelines.clear()
        self._chunker.forget()
        self._asked.clear()
        self._stirred.clear()  # only what is said from now on is a reason to hurry
        if turns:
            self._oldest_turn = max(self._oldest_turn, turns[-1] + 1)
        for turn in turns:
            self._listener.lost(turn, error)

    def _error(self, error: Exception) -> ModelError:
        return ModelError(sentence_of(error, self._endpoint), f"{self._endpoint.backend}_unavailable")


async def _first_failure(running: list[asyncio.Future[None]]) -> None:
    """Wait until one of them fails, and raise that; none runs afterwards."""
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)

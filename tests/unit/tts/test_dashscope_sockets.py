"""Sockets that are kept: whom they wait for and how long, and that none is left open."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from aiohttp import WSMsgType, web

from opentalking.config import Settings
from opentalking.tts import dashscope_sockets
from opentalking.tts.base import TTSError
from opentalking.tts.dashscope import ThreadStream
from opentalking.tts.dashscope_sockets import IdleSockets, Socket
from opentalking.tts.service import Service
from tests.support.voice_servers import VoiceServer

SETTINGS = Settings(dashscope_api_key="a-key")
SERVICE = Service("cosyvoice", "OPENTALKING_DASHSCOPE_API_KEY", "a-key")


class Named(Socket):
    """One that is open, or not, as the test says."""

    def __init__(self, name: str) -> None:
        super().__init__(SETTINGS)
        self.name, self._open = name, True

    @property
    def closed(self) -> bool:
        return self._closed


class Idle:
    def __init__(self) -> None:
        self.now = 0.0
        self.sockets: IdleSockets[Named] = IdleSockets(clock=lambda: self.now)

    def take(self, name: str) -> Named | None:
        return self.sockets.take(lambda socket: socket.name == name)


def test_the_next_fragment_takes_the_last_that_fits() -> None:
    idle, (first, second, other) = Idle(), map(Named, ("anna", "anna", "bert"))
    for socket in (first, second, other):
        idle.sockets.keep(socket)
    assert idle.take("carl") is None
    assert [idle.take("anna"), idle.take("anna"), idle.take("anna")] == [second, first, None]


def test_one_that_waited_too_long_or_was_lost_is_closed_instead() -> None:
    idle, (first, second) = Idle(), map(Named, ("anna", "anna"))
    idle.sockets.keep(first)
    idle.now = 30.0
    idle.sockets.keep(second)
    idle.now = 51.0
    second._lost("the service went away")
    assert idle.take("anna") is None
    assert first.closed and second.closed


def test_a_few_wait_and_one_in_the_middle_of_a_fragment_never() -> None:
    idle, sockets = Idle(), [Named(str(number)) for number in range(6)]
    for socket in sockets:
        idle.sockets.keep(socket)
    assert [socket.closed for socket in sockets] == [True, True, False, False, False, False]
    busy = Named("busy")
    busy._stream = object()  # type: ignore[assignment]
    idle.sockets.keep(busy)
    assert busy.closed and idle.take("busy") is None


def test_after_the_end_all_are_closed_and_those_that_come_back_too() -> None:
    idle, (waiting, late) = Idle(), map(Named, ("anna", "bert"))
    idle.sockets.keep(waiting)
    idle.sockets.close()
    idle.sockets.keep(late)
    assert waiting.closed and late.closed


class Slow(VoiceServer):
    """Opens a WebSocket when it is let. `came` is set when somebody asks for one, `gone` when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.came, self.let, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self._serve)]

    @property
    def url(self) -> str:
        return self.base_url.replace("http", "ws")

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        self.came.set()
        try:
            await self.let.wait()
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                assert message.type is WSMsgType.TEXT
            return socket
        finally:
            self.gone.set()


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    async with Slow() as server:
        yield server


async def test_one_that_nobody_wants_by_the_time_it_is_open_is_closed(slow: Slow) -> None:
    socket = Socket(SETTINGS)

    def speak(stream: ThreadStream) -> None:
        socket.begin(stream)
        socket.connect(slow.url, lambda message: None)

    stream = ThreadStream(SERVICE)
    async with aclosing(stream.read(speak, socket.close)) as pieces:
        waiting = asyncio.ensure_future(anext(pieces))
        await slow.came.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
    slow.let.set()
    async with asyncio.timeout(10):
        await slow.gone.wait()
    assert not socket.usable


async def test_one_that_is_not_answered_is_given_up(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashscope_sockets, "CONNECT_S", 0.2)
    socket = Socket(SETTINGS)

    def speak(stream: ThreadStream) -> None:
        socket.begin(stream)
        socket.connect(slow.url, lambda message: None)

    with pytest.raises(TTSError) as caught:
        _ = [piece async for piece in ThreadStream(SERVICE).read(speak, socket.close)]
    assert caught.value.code in ("timeout", "unreachable")  # by us, or by the library, whichever is first
    async with asyncio.timeout(10):
        await slow.gone.wait()


async def test_one_that_was_lost_while_it_waited_says_so_to_its_next_fragment(slow: Slow) -> None:
    slow.let.set()
    socket, lost = Socket(SETTINGS), threading.Event()
    socket.let_go = lost.set  # type: ignore[method-assign]

    def speak(stream: ThreadStream) -> None:
        socket.begin(stream)
        if socket.connect(slow.url, lambda message: None) is not None:
            socket.done()

    assert [piece async for piece in ThreadStream(SERVICE).read(speak)] == []
    assert socket.usable
    await slow.__aexit__()
    await asyncio.to_thread(lost.wait, 10)
    with pytest.raises(TTSError, match="cosyvoice: the connection was lost") as caught:
        async with asyncio.timeout(10):
            _ = [piece async for piece in ThreadStream(SERVICE).read(speak)]
    assert caught.value.code == "unreachable"

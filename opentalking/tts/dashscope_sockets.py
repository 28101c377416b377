"""WebSockets for the clients of DashScope's library: opened in their place, and kept from one fragment to the next.

Left alone, a client looks every 100 ms whether it is connected, and CosyVoice's opens a connection a fragment. Here a
thread wakes when the connection is open, and a client is given it as its `ws`: CosyVoice's connects only if it has
none, Qwen's only if it is told to. What they send and understand stays theirs. That a connection serves one task after
another is documented (alibabacloud.com/help/en/model-studio/high-concurrency-scenarios).

    new ── connect ──> a fragment ── it is done ──> idle ── the next ──> a fragment
                           └── cut, failed, or the connection is lost ──> closed
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from opentalking.config import Settings
from opentalking.tts import dashscope
from opentalking.tts.dashscope import ThreadStream
from opentalking.tts.service import CONNECT_S

_MOST_IDLE = 4  # sockets that wait for a fragment
_IDLE_S = 30.0  # as the library's own pool has it; a dead one, found out by its next fragment, costs a deadline
_LOOKS_S = 1  # how often a socket's thread looks whether it was closed; the library's own measure is 10


class Socket:
    """A WebSocket, and the fragment on it; whoever derives says what is sent, and calls `done` at a fragment's end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stream: ThreadStream | None = None  # of the fragment that is on its way
        self._app: Any = None
        self._decided = threading.Event()  # it is open, or will never be
        self._open = False
        self._closed = False

    @property
    def usable(self) -> bool:
        """Whether it is open, and nothing of a fragment is on its way."""
        return self._open and self._stream is None

    def begin(self, stream: ThreadStream) -> None:
        """A fragment is on its way: failures are its own."""
        self._stream = stream

    def connect(self, url: str, on_message: Callable[[str | bytes], None]) -> Any:
        """Opens it if it is new, in this thread. The client's `ws`, or None: then the stream was told why."""
        import websocket

        if self._app is None:
            websocket.setdefaulttimeout(CONNECT_S)  # or one that is not answered stays half open for ever
            self._app = websocket.WebSocketApp(
                url,
                header={"Authorization": f"Bearer {self._settings.dashscope_api_key}"},
                on_open=lambda _: self._opened(),
                on_message=lambda _, message: on_message(message),
                on_error=lambda _, error: self._failed(error),
                on_close=lambda *_: self._lost("the connection was closed in the middle of a sentence"),
            )
            run, looks = self._app.run_forever, {"ping_timeout": _LOOKS_S}  # without pings that is all it does
            threading.Thread(target=run, kwargs=looks, name="dashscope-socket", daemon=True).start()
            if not self._decided.wait(CONNECT_S):
                raise TimeoutError(f"no connection within {CONNECT_S:g} s")
        if not self._open:  # a kept one was lost just now; of a new one the stream knows more already
            self._lost("the connection was lost")
            return None
        return self._app

    def done(self) -> None:
        """The fragment was heard to its end; the socket waits for the next."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end()

    def close(self) -> None:
        self._closed, self._open = True, False
        if self._app is not None and self._decided.is_set():  # before that `_opened` closes it: the library would not
            dashscope.aside(self._app.close)

    def let_go(self) -> None:
        """Whoever waits for the service need not any more. From any thread."""

    def _opened(self) -> None:
        self._open = not self._closed
        self._decided.set()
        if self._closed:  # nobody wanted it any more, while it was opened
            self._app.close()

    def _failed(self, error: object) -> None:
        stream = self._stream
        if stream is not None and stream.refused(error):
            self._lost("")
        else:
            self._lost(str(error) or type(error).__name__)

    def _lost(self, why: str) -> None:
        """Of several reasons the first is heard."""
        self._open = False
        if self._stream is not None:
            self._stream.fail("unreachable", why)
        self._decided.set()
        self.let_go()


S = TypeVar("S", bound=Socket)


class IdleSockets(Generic[S]):
    """Those that wait for a fragment; of the loop alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._idle: list[tuple[float, S]] = []  # since when; the latest last
        self._closed = False

    def take(self, fits: Callable[[S], bool]) -> S | None:
        """The last that came and fits. Those that were lost or wait too long are closed."""
        oldest = self._clock() - _IDLE_S
        for since, socket in list(self._idle):
            if since < oldest or not socket.usable:
                self._idle.remove((since, socket))
                socket.close()
        for entry in reversed(self._idle):
            if fits(entry[1]):
                self._idle.remove(entry)
                return entry[1]
        return None

    def keep(self, socket: S) -> None:
        """Until its next fragment; one that is of no more use is closed."""
        if self._closed or not socket.usable:
            socket.close()
            return
        self._idle.append((self._clock(), socket))
        while len(self._idle) > _MOST_IDLE:
            self._idle.pop(0)[1].close()

    def close(self) -> None:
        """Also those that are given back later."""
        self._closed = True
        while self._idle:
            self._idle.pop()[1].close()

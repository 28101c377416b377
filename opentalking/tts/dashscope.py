"""What DashScope's voices share: its library, whose calls block and whose callbacks come from threads of their own.

    loop:              bytes <── queue <───────────────┐
    a daemon thread:   call(stream) ──> the library ───┤ give, fail, end
    library's threads:                  callbacks ─────┘

A thread that hangs does not keep the process from ending. When nobody listens any more, `closed` is set and `on_close`
called, in the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any

from opentalking.config import Settings
from opentalking.tts.base import TTSCode, TTSError, Voice
from opentalking.tts.service import Service

_MOST_BYTES = 32 << 20  # of a fragment: six minutes at 48 kHz
_KEY_SETTING = "OPENTALKING_DASHSCOPE_API_KEY"
_UNPAID = ("Arrearage", "Throttling", "LimitExceeded", "Quota")
_KEYS = ("InvalidApiKey", "AccessDenied", "Unauthorized")


class LibraryVoice:
    """What an adapter is beside what it says: whoever derives names these four."""

    provider: str
    module: str  # of the library
    known: tuple[tuple[str, str, str], ...]  # (id, label, language) of some voices; others can be named
    sample_rates: tuple[int, ...]
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._service = Service(self.provider, _KEY_SETTING, settings.dashscope_api_key)

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return None if settings.dashscope_api_key else f"set {_KEY_SETTING}"

    async def warmup(self) -> None:
        """Import the library; a connection that waited for the first to speak would be closed before."""
        await asyncio.to_thread(library, self._settings, self.module)

    def voices(self) -> list[Voice]:
        return [Voice(self.provider, *voice) for voice in self.known]


class ThreadStream:
    """One fragment's bytes, from any thread to the loop that made this."""

    def __init__(self, service: Service) -> None:
        self.closed = threading.Event()
        self.service = service
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[bytes | TTSError | None] = asyncio.Queue()
        self._given = 0  # bytes

    def give(self, data: bytes) -> None:
        """The library's threads cannot be slowed down, so what is too much is refused."""
        self._given += len(data)
        if self._given > _MOST_BYTES:
            self.fail("broken", f"more than {_MOST_BYTES >> 20} MB of sound for a fragment")
        else:
            self._put(data)

    def fail(self, code: TTSCode, what: str) -> None:
        self._put(self.service.error(code, what))

    def failed(self, name: str, what: str) -> None:
        """By one of the service's own names of errors."""
        self._put(failed(self.service, name, what))

    def refused(self, error: object) -> bool:
        """Whether this error is an HTTP answer in place of a WebSocket; then it was told."""
        status, headers = getattr(error, "status_code", None), getattr(error, "resp_headers", None) or {}
        if not isinstance(status, int) or not 400 <= status < 600:  # a WebSocket's own codes are 1000 and above
            return False
        self._put(self.service.refused(status, "", headers.get("retry-after")))
        return True

    def end(self) -> None:
        self._put(None)

    def _put(self, event: bytes | TTSError | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def read(
        self, call: Callable[[ThreadStream], None], on_close: Callable[[], None] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """What `call`, in a daemon thread, gives until it ends the stream. Raises TTSError."""
        try:
            threading.Thread(target=self._run, args=(call,), name=self.service.provider, daemon=True).start()
            while (event := await self._events.get()) is not None:
                if isinstance(event, TTSError):
                    raise event
                yield event
        finally:
            self.closed.set()
            if on_close is not None:
                on_close()

    def _run(self, call: Callable[[ThreadStream], None]) -> None:
        try:
            call(self)
        except TimeoutError as error:
            self.fail("timeout", str(error))
        except (ConnectionError, OSError) as error:
            self.fail("unreachable", str(error) or type(error).__name__)
        except Exception as error:
            self.fail("failed", f"{type(error).__name__}: {error}")


def failed(service: Service, name: str, what: str) -> TTSError:
    """A failure by one of the service's own names of errors."""
    if any(part in name for part in _KEYS):
        return service.refused(401, what)
    if any(part in name for part in _UNPAID):
        return service.refused(429, what)
    return service.error("bad_request" if name.startswith("Invalid") else "failed", f"{name}: {what}")


def aside(call: Callable[[], object]) -> None:
    """In a daemon thread: closing a socket politely takes the library up to three seconds."""

    def run() -> None:
        with contextlib.suppress(Exception):  # it may be opening, or closing, just now
            call()

    threading.Thread(target=run, name="dashscope-close", daemon=True).start()


def library(settings: Settings, module: str) -> Any:
    """A module of the package, told the key. Imported at the first use, which takes half a second."""
    import dashscope

    logging.getLogger("dashscope").setLevel(logging.CRITICAL)  # what it logs, its callbacks are told, too
    logging.getLogger("websocket").setLevel(logging.CRITICAL)
    dashscope.api_key = settings.dashscope_api_key
    return importlib.import_module(f"dashscope.{module}")

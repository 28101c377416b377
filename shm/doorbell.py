"""A named pipe that carries 8-byte words: the wake-up between two processes, and the fence of the ring.

Writing a word is one syscall that takes the pipe's mutex, reading it is another: whatever the writer stored to shared
memory before `ring` is visible to the reader after `read`, on every processor. That is the only ordering the ring
relies on (plain stores from Python have none).

Both ends open the pipe read-write, so it neither blocks nor breaks when a peer is not there yet or has died. Words are
absolute (a sequence, not a count): reading the last one of several is enough, and reading one twice is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

_WORD = struct.Struct("<Q")
_DRAIN_BYTES = 65_536


class Doorbell:
    """One direction of one ring. `listen` wakes an asyncio loop; without it, `read` may be called at any time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self, word: int) -> None:
        """Send a word. Out of a full pipe (thousands of words, none read) the old ones are taken: the last counts."""
        while True:
            try:
                os.write(self._fd, _WORD.pack(word))
                return
            except BlockingIOError:
                self.read()

    def read(self) -> int | None:
        """The newest word since the last call, or None."""
        newest: int | None = None
        while True:
            try:
                words = os.read(self._fd, _DRAIN_BYTES)
            except BlockingIOError:
                return newest
            newest = _WORD.unpack_from(words, len(words) - _WORD.size)[0]
            if len(words) < _DRAIN_BYTES:
                return newest

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the running loop whenever words wait; `wake` must read() them."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, wake)

    def unlisten(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop = None

    def close(self) -> None:
        if self._fd >= 0:
            self.unlisten()
            os.close(self._fd)
            self._fd = -1

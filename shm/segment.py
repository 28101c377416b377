"""Files in shared memory: created whole or not at all, mapped, and locked by role.

A segment is a file under the node's folder in /dev/shm. Whoever of its peers comes first creates it: without a
name, with its memory reserved (`posix_fallocate`: a full /dev/shm is an error here and not a SIGBUS later) and its
header written, then linked to its name in one step. So a segment that can be opened is complete, no peer has to wait
for another to be started first, and one that is killed in between leaves nothing.

A role (producer, consumer) is an open-file-description lock on one byte of the file. The kernel drops it when its
holder dies, however it dies: two producers cannot exist by mistake, and a dead peer never has to be guessed at.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid


class RoleTaken(Exception):
    """Another live process holds this role of the segment."""


def _flock(fd: int, command: int, kind: int, byte: int) -> int:
    """Run an OFD lock command on one byte; returns the resulting l_type (for F_OFD_GETLK)."""
    reply = fcntl.fcntl(fd, command, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
    lock_type: int = _FLOCK.unpack(reply)[0]
    return lock_type


class Segment:
    """A mapped file. `memory` is valid until close()."""

    def __init__(self, path: Path, size: int, initialise: Callable[[memoryview], None]) -> None:
        self.path = path
        self.fd = _open_or_create(path, size, initialise)
        try:
            self._map = mmap.mmap(self.fd, size)
        except BaseException:
            os.close(self.fd)
            raise
        self.memory = memoryview(self._map)
        self._roles: list[int] = []

    def take_role(self, byte: int) -> None:
        """Hold the role of this byte until close() or death. Raises RoleTaken."""
        try:
            _flock(self.fd, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, byte)
        except (BlockingIOError, PermissionError):
            raise RoleTaken(f"{self.path}: role {byte} is held by a live process") from None
        self._roles.append(byte)

    def role_is_held(self, byte: int) -> bool:
        """Whether another open file description holds the role (one's own lock never counts)."""
        return _flock(self.fd, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, byte) != fcntl.F_UNLCK

    def close(self) -> None:
        if self.fd < 0:
            return
        for byte in self._roles:  # the map keeps the file description open, and with it the locks, while a view lives
            _flock(self.fd, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, byte)
        os.close(self.fd)
        self.fd = -1
        self.memory.release()
        with contextlib.suppress(BufferError):  # a view still lives: the map goes with it
            self._map.close()


def _open_or_create(path: Path, size: int, initialise: Callable[[memoryview], None]) -> int:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            _create(path, size, initialise)
            continue
        actual = os.fstat(fd).st_size
        if actual != size:
            os.close(fd)
            raise ValueError(f"{path}: holds {actual} bytes, expected {size}")
        return fd


def _create(path: Path, size: int, initialise: Callable[[memoryview], None]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
        with mmap.mmap(fd, size) as mapped, memoryview(mapped) as memory:
            initialise(memory)
        with contextlib.suppress(FileExistsError):  # the peer was faster: its segment is as good
            _link(fd, path)
    finally:
        os.close(fd)


def _link(fd: int, path: Path) -> None:
    """Give a nameless file its name: the recipe of open(2), O_TMPFILE."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:  # a folder's descriptor makes Python call linkat, and only that follows the link in /proc
        os.link(f"/proc/self/fd/{fd}", path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)

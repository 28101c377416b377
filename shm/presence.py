"""Whether a worker's process lives, by the kernel's word: a lock that it takes first and loses however it dies.

    /dev/shm/opentalking-<node>/.speech-0.lock     held by the process that is `node:speech-0`

A heartbeat says the same, seconds later, and to every node; this is for whoever shares the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid
_WHOLE = (os.SEEK_SET, 0, 0, 0)


def _path(root: Path, name: str) -> Path:
    return root / f".{name}.lock"


class Presence:
    """Held from construction to close() or death. A second process of the same name is let be: it changes nothing."""

    def __init__(self, root: Path, name: str) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fd = os.open(_path(root, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError, PermissionError):
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, *_WHOLE))

    def close(self) -> None:
        os.close(self._fd)


def is_present(root: Path, name: str) -> bool | None:
    """Whether a live process holds that name; None if none ever did here (another machine, or a node just made)."""
    try:
        fd = os.open(_path(root, name), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        reply = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, *_WHOLE))
        return bool(_FLOCK.unpack(reply)[0] != fcntl.F_UNLCK)
    finally:
        os.close(fd)

"""A full memory barrier on the running threads of all peers: Linux membarrier(2), for the rare moment of attaching.

In steady state the doorbell orders memory. A peer that attaches to a ring mid-life starts from the sequence it finds
in memory instead of one that a doorbell brought; this barrier, between reading that sequence and reading the slots it
covers, makes the slots as visible as the sequence was.

The expedited barrier takes a microsecond and reaches the processes that asked for it, which every end of a ring does
first. The one that reaches everybody unasked waits for a grace period of the kernel, 16 to 28 ms on two cores: long
enough for the loop that attaches to be late with another session's packet.
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading

_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}.get(platform.machine())
_CMD_GLOBAL = 1
_CMD_GLOBAL_EXPEDITED = 2
_CMD_REGISTER_GLOBAL_EXPEDITED = 4

_libc = ctypes.CDLL(None, use_errno=True)
_joined_pid = 0


def _membarrier(command: int) -> bool:
    """Whether the kernel knows the command and did it."""
    return _SYS_MEMBARRIER is not None and _libc.syscall(_SYS_MEMBARRIER, command, 0) == 0


def join_barriers() -> None:
    """Let the barriers of others reach this process; once a process, before it is anybody's peer."""
    global _joined_pid
    if _joined_pid != os.getpid():
        _membarrier(_CMD_REGISTER_GLOBAL_EXPEDITED)
        _joined_pid = os.getpid()


def global_barrier() -> None:
    """Order this thread's earlier loads before its later ones against all writers that joined."""
    if not (_membarrier(_CMD_GLOBAL_EXPEDITED) or _membarrier(_CMD_GLOBAL)):
        lock = threading.Lock()  # kernel without membarrier: at least order our own side
        with lock:
            pass

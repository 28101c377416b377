"""A full memory barrier on every running thread of the machine: Linux membarrier(2), for the rare moment of attaching.

In steady state the doorbell orders memory. A peer that attaches to a ring mid-life starts from the sequence it finds
in memory instead of one that a doorbell brought; this barrier, between reading that sequence and reading the slots it
covers, makes the slots as visible as the sequence was.
"""

from __future__ import annotations

import ctypes
import platform
import threading

_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
_MEMBARRIER_CMD_GLOBAL = 1

_libc = ctypes.CDLL(None, use_errno=True)


def global_barrier() -> None:
    """Order this thread's earlier loads before its later ones against all writers. Milliseconds, not for hot paths."""
    number = _SYS_MEMBARRIER.get(platform.machine())
    if number is None or _libc.syscall(number, _MEMBARRIER_CMD_GLOBAL, 0) != 0:
        lock = threading.Lock()  # kernel without membarrier: at least order our own side
        with lock:
            pass

"""Where uploads and half-made avatars lie: `.incoming/` inside the folder of avatars, on its disk, seen by no list.

    .incoming/           locked for a moment by whoever makes, sweeps, or settles an avatar
    .incoming/tmpab12/   locked by the process that works in it, for as long as it does

The kernel takes the lock from a process however it dies, so what nobody holds is nobody's, and is swept: by the next
who comes, and by the API at its start. File systems that do not lock folders (NFS) leave only the age to go by.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

INCOMING = ".incoming"
ABANDONED_S = 3600.0  # what nobody touched for so long is taken for left behind where locks cannot tell


@contextlib.contextmanager
def incoming(folder: Path) -> Iterator[Path]:
    """A fresh folder inside `folder` (which is made); it is gone afterwards, and soon also after a kill."""
    place = folder / INCOMING
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with one_at_a_time(folder):
            _sweep(place)
            fresh = Path(tempfile.mkdtemp(dir=place))
            held.enter_context(_locked(fresh))
        try:
            yield fresh
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Only one process at a time is in here with that folder; each is so for milliseconds."""
    with _locked(folder / INCOMING):
        yield


def sweep_incoming(folder: Path) -> None:
    """Remove what processes that died have left."""
    if (folder / INCOMING).is_dir():
        with one_at_a_time(folder):
            _sweep(folder / INCOMING)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # NFS
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _sweep(place: Path) -> None:
    for old in place.iterdir():
        if _is_abandoned(old):
            shutil.rmtree(old, ignore_errors=True)


def _is_abandoned(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - os.stat(path).st_mtime > ABANDONED_S
    finally:
        os.close(fd)
    return True

"""Folders of a node in shared memory: one a session, and what becomes of them when somebody died.

    /dev/shm/opentalking-<node>/.alive            locked (shared) by every live worker of the node
    /dev/shm/opentalking-<node>/sess_…/           board, rings and doorbells of one session

A session's folder is removed by its workers when it closes. What a crash left on a live node is found by
`session_folders`: take that list first and the list of live sessions after it, then remove the difference (the
other way round would remove a session that began in between). `reap_nodes` removes nodes whose `.alive` nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

_ALIVE = ".alive"


class NodeFolder:
    """A live worker's hold on its node's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        while True:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._fd = os.open(root / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # a reaper of dead nodes was between our two steps
            fcntl.flock(self._fd, fcntl.LOCK_SH)
            if os.fstat(self._fd).st_nlink:
                return
            os.close(self._fd)  # or between these two: what we locked has no name any more

    def session(self, session_id: str) -> Path:
        """Folder of a session's segments (created by the first of them)."""
        if not session_id or "/" in session_id or session_id.startswith("."):
            raise ValueError(f"not a session id: {session_id!r}")
        return self.root / session_id

    def remove_session(self, session_id: str) -> None:
        """Unlink everything of a session; processes that still map it keep their memory until they close."""
        shutil.rmtree(self.session(session_id), ignore_errors=True)

    def session_folders(self) -> list[str]:
        """Ids of the sessions that have a folder here."""
        return [entry.name for entry in os.scandir(self.root) if entry.is_dir()]

    def close(self) -> None:
        os.close(self._fd)


def reap_nodes(parent: Path, prefix: str) -> list[Path]:
    """Remove the folders `parent/prefix*` of nodes without a live worker. Returns them."""
    dead = []
    for root in parent.glob(prefix + "*"):
        try:
            fd = os.open(root / _ALIVE, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # being made, not a node's folder, or not ours
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for entry in os.scandir(root):
                if entry.is_dir():  # first: without .alive, nobody would take the folder up after us
                    shutil.rmtree(entry, ignore_errors=True)
            shutil.rmtree(root, ignore_errors=True)
            dead.append(root)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
    return dead

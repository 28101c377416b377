"""What is half-made has a place of its own, which is empty again whatever happens to the process that works there."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opentalking.avatars.incoming import ABANDONED_S, incoming, sweep_incoming

HOLD = """
import pathlib, sys, time
from opentalking.avatars.incoming import incoming
with incoming(pathlib.Path(sys.argv[1])) as place:
    (place / "upload").write_bytes(b"half")
    print(place, flush=True)
    time.sleep(600)
"""


def worker(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has begun to write, and its place."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_left_is_swept_and_what_others_work_at_is_not(tmp_path: Path) -> None:
    (dead, lost), (living, kept) = worker(tmp_path), worker(tmp_path)
    try:
        assert (lost / "upload").is_file()
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        sweep_incoming(tmp_path)
        assert not lost.exists()
        assert (kept / "upload").is_file()
    finally:
        living.kill()
        living.wait()
    with incoming(tmp_path) as place:
        assert list((tmp_path / ".incoming").iterdir()) == [place]
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_two_places_of_one_process_are_held_both(tmp_path: Path) -> None:
    with incoming(tmp_path) as first, incoming(tmp_path) as second:
        assert first != second
        sweep_incoming(tmp_path)
        assert first.is_dir() and second.is_dir()


def test_where_folders_cannot_be_locked_the_age_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.EBADF, "as NFS says")

    monkeypatch.setattr(fcntl, "flock", refuse)
    old, young = tmp_path / ".incoming" / "old", tmp_path / ".incoming" / "young"
    for path in (old, young):
        path.mkdir(parents=True)
    os.utime(old, (time.time() - ABANDONED_S - 60,) * 2)
    with incoming(tmp_path) as place:
        assert place.is_dir()
        assert young.exists() and not old.exists()


def test_sweeping_makes_no_folder(tmp_path: Path) -> None:
    sweep_incoming(tmp_path / "avatars")
    assert list(tmp_path.iterdir()) == []

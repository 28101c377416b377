"""Who holds a name lives; the kernel says so, however the process ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shm import Presence, is_present

HOLD = """
import pathlib, sys, shm
presence = shm.Presence(pathlib.Path(sys.argv[1]), "rtc-0")
print(flush=True)
sys.stdin.read()
"""


def test_a_name_that_nobody_ever_held_says_nothing(tmp_path: Path) -> None:
    assert is_present(tmp_path, "rtc-0") is None


def test_a_killed_process_is_not_present_and_its_successor_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_present(tmp_path, "rtc-0") is True
        process.kill()
        process.wait()
        assert is_present(tmp_path, "rtc-0") is False
    successor = Presence(tmp_path, "rtc-0")
    assert is_present(tmp_path, "rtc-0") is True
    successor.close()
    assert is_present(tmp_path, "rtc-0") is False


def test_a_second_holder_of_a_name_does_no_harm(tmp_path: Path) -> None:
    first, second = Presence(tmp_path, "rtc-0"), Presence(tmp_path, "rtc-0")
    second.close()
    assert is_present(tmp_path, "rtc-0") is True
    first.close()

"""`python -m tests.proof.instructions`: ends that kill themselves at the n-th instruction of the ring.

Reads lines `act path n` and for each forks a process that does the act there, counting the bytecode instructions that
Python runs of `shm`, of the record's filling and of removing folders; before the n-th it gets SIGKILL. Answers
`killed` or, when the act has fewer instructions, `done`. A fork of this small process takes a millisecond, a start
takes a hundred.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import shm
from shm import Consumer, Producer, reap_nodes
from tests.proof import records
from tests.proof.records import Records

RECORDS = Records(slots=4, body_bytes=240)
FLOOR = 2  # the generation below which `fence` drops
_COUNTED = (str(Path(shm.__file__).parent), records.__file__, shutil.__file__)


def die_at(instruction: int) -> None:
    """From the next call on, count instructions; SIGKILL before this one."""
    left = instruction

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(_COUNTED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return count

    sys.settrace(count)


def attach_producer(path: Path, instruction: int) -> None:
    die_at(instruction)
    Producer(path, RECORDS.spec)


def attach_consumer(path: Path, instruction: int) -> None:
    die_at(instruction)
    Consumer(path, RECORDS.spec)


def publish(path: Path, instruction: int) -> None:
    ring = Producer(path, RECORDS.spec)
    sequence = ring._head
    die_at(instruction)
    payload = ring.try_claim()
    assert payload is not None
    ring.publish(FLOOR, RECORDS.write(payload, sequence, FLOOR))


def take(path: Path, instruction: int) -> None:
    ring = Consumer(path, RECORDS.spec)
    die_at(instruction)
    slot = ring.front()
    assert slot is not None
    RECORDS.check(slot)
    ring.advance()


def fence(path: Path, instruction: int) -> None:
    ring = Consumer(path, RECORDS.spec)
    die_at(instruction)
    assert ring.front(FLOOR) is None


def reap(root: Path, instruction: int) -> None:
    die_at(instruction)
    reap_nodes(root.parent, root.name)


ACTS: dict[str, Callable[[Path, int], None]] = {
    act.__name__: act for act in (attach_producer, attach_consumer, publish, take, fence, reap)
}


def main() -> None:
    for line in sys.stdin:
        act, path, instruction = line.split()
        pid = os.fork()
        if not pid:
            ACTS[act](Path(path), int(instruction))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        print({0: "done", -signal.SIGKILL: "killed"}.get(code, f"failed with {code}"), flush=True)


if __name__ == "__main__":
    main()

"""What the hand-off of a video frame costs: through the ring, `multiprocessing.Queue` and a pipe, in one run.

`python -m tests.bench.ring [--quick]` prints the figures; `measure` is for the whole bench.

A slot of a 512x512 picture with its sound goes from one process to another. *Hand-off*: at random moments, so that the
receiver sleeps when it comes; from the call that sends it until the receiver holds a copy of its own. The ring's
sender writes the picture into the slot before that call, the others' write is inside theirs, so the ring is also
measured with its write. *Frames a second*: as fast as they go, at most 16 under way. The ring's receiver sleeps in a
uvloop and is woken as the workers are; the others' sleep in a blocking read, which costs them less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import uvloop

from opentalking.slots import av_slot_bytes
from shm import Consumer, Producer, RingSpec

FRAME_BYTES = av_slot_bytes(512, 512)
UNDER_WAY = 16
FRAMES_PER_S = 50
WARM_UP = 20
DEADLINE_S = 180
_STAMPS = struct.Struct("<qq")  # monotonic ns: before anything was written, and at the sending call; 0 ends a phase

Take = Callable[[int, int], bool]  # told both stamps of a frame that the receiver owns; False when it was the last


class Transport(Protocol):
    """A way between two processes. The instance is handed to the receiver's process; each uses its own end."""

    async def send(self, frame: bytes, ends: bool = False) -> None:
        """Stamp a frame and send it; waits while too many are under way."""
        ...

    def receive(self, take: Take) -> None:
        """Receive frames until `take` says that it was the last."""
        ...


class Ring:
    """The product's own."""

    def __init__(self, folder: Path) -> None:
        self._path, self._spec = folder / "av", RingSpec(UNDER_WAY, FRAME_BYTES)
        self._producer: Producer | None = None

    async def send(self, frame: bytes, ends: bool = False) -> None:
        self._producer = ring = self._producer or Producer(self._path, self._spec)
        slot = await ring.claim()
        began = time.monotonic_ns()
        slot[:] = frame
        _STAMPS.pack_into(slot, 0, began, 0 if ends else time.monotonic_ns())
        ring.publish(1)

    def receive(self, take: Take) -> None:
        uvloop.run(self._receive(take))

    async def _receive(self, take: Take) -> None:
        ring, mine, woken = Consumer(self._path, self._spec), np.empty(FRAME_BYTES, np.uint8), asyncio.Event()

        def wake() -> None:
            if ring.depth:
                woken.set()

        ring.listen(wake)
        more = True
        while more:
            if (slot := ring.front()) is None:
                await woken.wait()
                woken.clear()
                continue
            mine[:] = np.frombuffer(slot.payload, np.uint8)
            stamps = _STAMPS.unpack_from(slot.payload)
            more = take(*stamps)
            ring.advance()
        ring.close()


class Queue:
    """`multiprocessing.Queue`: pickled by a thread, through a pipe with a lock on either end."""

    def __init__(self, folder: Path) -> None:
        self._queue: multiprocessing.Queue[Any] = multiprocessing.get_context("spawn").Queue(UNDER_WAY)

    async def send(self, frame: bytes, ends: bool = False) -> None:
        now = time.monotonic_ns()
        self._queue.put((now, 0 if ends else now, frame))

    def receive(self, take: Take) -> None:
        more = True
        while more:
            began, sent, _ = self._queue.get()
            more = take(began, sent)


class Pipe:
    """`multiprocessing.Pipe` one way, bytes: an `os.pipe` with a length before each message."""

    def __init__(self, folder: Path) -> None:
        self._reader, self._writer = multiprocessing.get_context("spawn").Pipe(duplex=False)

    async def send(self, frame: bytes, ends: bool = False) -> None:
        now = time.monotonic_ns()
        self._writer.send_bytes(_STAMPS.pack(now, 0 if ends else now) + frame[_STAMPS.size :])

    def receive(self, take: Take) -> None:
        mine = bytearray(FRAME_BYTES)
        more = True
        while more:
            self._reader.recv_bytes_into(mine)
            more = take(*_STAMPS.unpack_from(mine))


class _Phases:
    """The receiver's notes: of each of the two phases, which a frame without a stamp ends, (began, sent, held)."""

    def __init__(self, report: Connection) -> None:
        self._report, self._left = report, 2
        self._times: list[tuple[int, int, int]] = []

    def take(self, began: int, sent: int) -> bool:
        if sent:
            self._times.append((began, sent, time.monotonic_ns()))
            return True
        self._report.send(self._times)
        self._times = []
        self._left -= 1
        return bool(self._left)


def _receiver(transport: Transport, report: Connection) -> None:
    report.send("ready")
    transport.receive(_Phases(report).take)


async def _figures(name: str, transport: Transport, quick: bool) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    reports, report = context.Pipe(duplex=False)
    receiver = context.Process(target=_receiver, args=(transport, report), daemon=True)
    receiver.start()
    report.close()  # or its death would not be seen
    reports.recv()
    frame = np.random.default_rng(1).bytes(FRAME_BYTES)
    for _ in range(WARM_UP + (60 if quick else 500)):
        await transport.send(frame)
        await asyncio.sleep(random.uniform(0.5, 1.5) / FRAMES_PER_S / (5 if quick else 1))
    await transport.send(frame, ends=True)
    handed = np.array(reports.recv(), np.int64)[WARM_UP:]
    until = time.monotonic() + (0.5 if quick else 3)
    while time.monotonic() < until:
        await transport.send(frame)
    await transport.send(frame, ends=True)
    held = np.array(reports.recv(), np.int64)[WARM_UP:, 2]
    receiver.join()
    return _summary(name, handed, held)


def _summary(name: str, handed: np.ndarray[Any, Any], held: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Flat keys from the stamps (began, sent, held) of the paced frames, and when each of the unpaced was held."""
    began, sent, holds = handed.T
    figures: dict[str, Any] = {}
    for share in (50, 99):
        figures[f"{name}_handoff_p{share}_us"] = round(float(np.percentile(holds - sent, share)) / 1000, 1)
    if name == "ring":
        figures["ring_write_and_handoff_p50_us"] = round(float(np.median(holds - began)) / 1000, 1)
    figures[f"{name}_handoffs"] = len(handed)
    figures[f"{name}_frames_per_s"] = round((len(held) - 1) / (held[-1] - held[0]) * 1e9)
    return figures


def run(quick: bool) -> dict[str, Any]:
    """All figures; needs a process of its own."""
    shared = Path("/dev/shm")
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="opentalking-bench-", dir=shared if shared.is_dir() else None) as folder:
        for name, transport in (("ring", Ring), ("queue", Queue), ("pipe", Pipe)):
            figures |= uvloop.run(_figures(name, transport(Path(folder)), quick))
    return figures


async def measure(quick: bool) -> dict[str, Any]:
    """All figures, had by a process of its own."""
    command = [sys.executable, "-m", __name__, "--json", *(["--quick"] if quick else [])]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the ring's measurement ended with {process.returncode}")
    figures: dict[str, Any] = json.loads(said)
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    measured = run(options.quick)
    print(
        json.dumps(measured) if options.json else "\n".join(f"{key:32}{value:>12}" for key, value in measured.items())
    )

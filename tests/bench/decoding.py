"""MP3 to 16 kHz PCM: libav in process against ffmpeg processes, in one run.

    python -m tests.bench.decoding [--quick]

    libav             opentalking/tts/decoding.py and its resampler
    ffmpeg_kept       one process for all fragments, low-latency flags: the specification's long-lived pipe
    ffmpeg_each       a process a fragment, low-latency flags
    ffmpeg_each_spec  a process a fragment, the specification's command as it is

A fragment is 5 s of a voice-like tone in Edge's format (24 kHz, 48 kbit/s, mono), in pieces of 720 bytes. *First PCM*:
pieces come at 36 kB/s; from the first until PCM is in this process, and the bytes sent by then. *Abort*: a moment
later; until the next fragment could begin with nothing of this one before it. *Burst*: all pieces at once. *CPU*: user
and system of this process and its children over those bursts, a second of sound. *Memory*: what one more decoder takes.

The kept process does not say where a fragment ends, and holds back its end until more comes. So it is sent silence
after each, and the samples are counted; the count of frames that this needs is given to it here for nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np

from opentalking.types import MODEL_RATE, Int16

from .decoders import FRAME_BYTES, QUICK_FLAGS, RATE, Each, Kept, Libav, Pieces, Way, frames

FRAMES_A_PIECE = 5
BYTES_PER_S = 36_000
SECONDS = 5
MORE = 3  # pieces of PCM that are heard before it is aborted


def voice_like() -> Int16:
    """A gliding harmonic tone with a syllable's rhythm."""
    seconds = np.arange(SECONDS * RATE) / RATE
    phase = 2 * np.pi * (140 * seconds + 8 * np.sin(2 * np.pi * 0.7 * seconds))
    tone = sum(np.sin(k * phase) / k for k in range(1, 12)) * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * seconds))
    return np.asarray(5000 * tone, np.int16)


class Sender:
    """A fragment's pieces, at a service's pace or at once; notes when the first went, and how many bytes have gone."""

    def __init__(self, mp3: list[bytes], paced: bool) -> None:
        self._mp3, self._paced = mp3, paced
        self.began = 0.0
        self.sent = 0

    async def pieces(self) -> Pieces:
        self.began = time.perf_counter()
        for start in range(0, len(self._mp3), FRAMES_A_PIECE):
            piece = self._mp3[start : start + FRAMES_A_PIECE]
            if self._paced and start:
                await asyncio.sleep(self.began + self.sent / BYTES_PER_S - time.perf_counter())
            self.sent += sum(map(len, piece))
            yield piece


async def cut_short(way: Way, mp3: list[bytes]) -> tuple[float, int, float]:
    """(ms to the first PCM, bytes sent by then, ms to abort)."""
    sender = Sender(mp3, paced=True)
    async with aclosing(way.decode(sender.pieces())) as pcm:
        began = time.perf_counter()  # a process a fragment has to start first: that counts
        await anext(pcm)
        first_ms, sent = (time.perf_counter() - began) * 1000, sender.sent
        for _ in range(MORE):
            await anext(pcm)
        began = time.perf_counter()
    return first_ms, sent, (time.perf_counter() - began) * 1000


def cpu_s() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def memory_mb(pid: int | str) -> float:
    """Proportional set size: what is shared with others counts in part."""
    line = next(line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


async def memory_of(way: Way, mp3: list[bytes]) -> float:
    """MB of one more decoder in the middle of a fragment."""
    if not isinstance(way, Libav):
        async with aclosing(way.decode(Sender(mp3, paced=True).pieces())) as pcm:
            await anext(pcm)
            return memory_mb(way.pids[0])
    async with contextlib.AsyncExitStack() as stack:
        before, number = memory_mb("self"), 50
        for _ in range(number):
            pcm = await stack.enter_async_context(aclosing(way.decode(Sender(mp3, paced=False).pieces())))
            await anext(pcm)
        return (memory_mb("self") - before) / number


@contextlib.asynccontextmanager
async def opened(make: Callable[[], Way]) -> AsyncIterator[Way]:
    way = make()
    await way.open()
    try:
        yield way
    finally:
        await way.close()


async def figures(name: str, make: Callable[[], Way], mp3: list[bytes], rounds: int) -> dict[str, Any]:
    """Flat keys of one way."""
    bursts, expected = [], len(mp3) * FRAME_BYTES
    began_s = cpu_s()
    async with opened(make) as way:
        for _ in range(rounds):
            began, samples = time.perf_counter(), 0
            async with aclosing(way.decode(Sender(mp3, paced=False).pieces())) as pcm:
                async for part in pcm:
                    samples += len(part)
            bursts.append((time.perf_counter() - began) * 1000)
            if abs(samples - expected) > 2 * FRAME_BYTES:
                raise RuntimeError(f"{name} gave {samples} bytes of PCM for a fragment of {expected}")
    spent_s = cpu_s() - began_s
    async with opened(make) as way:
        await cut_short(way, mp3)
        firsts, sent, aborts = zip(*[await cut_short(way, mp3) for _ in range(rounds)], strict=True)
    return {
        f"decode_first_pcm_p50_ms.{name}": round(float(np.percentile(firsts, 50)), 2),
        f"decode_first_pcm_p95_ms.{name}": round(float(np.percentile(firsts, 95)), 2),
        f"decode_first_pcm_bytes.{name}": int(np.median(sent)),
        f"decode_burst_p50_ms.{name}": round(float(np.median(bursts)), 1),
        f"decode_cpu_ms_per_s.{name}": round(spent_s * 1000 / rounds / (expected / 2 / MODEL_RATE), 2),
        f"decode_abort_p95_ms.{name}": round(float(np.percentile(aborts, 95)), 2),
    }


WAYS: dict[str, Callable[[], Way]] = {
    "libav": Libav,
    "ffmpeg_kept": Kept,
    "ffmpeg_each": lambda: Each(*QUICK_FLAGS),
    "ffmpeg_each_spec": Each,
}


async def measure(quick: bool) -> dict[str, Any]:
    """All figures; of libav alone where there is no ffmpeg."""
    mp3, rounds = frames(voice_like()), 3 if quick else 30
    await figures("warm-up", Libav, mp3, 1)
    found: dict[str, Any] = {}
    for name, make in WAYS.items():
        if name == "libav" or shutil.which("ffmpeg"):
            found |= await figures(name, make, mp3, rounds)
            async with opened(make) as way:
                found[f"decode_memory_mb.{name}"] = round(await memory_of(way, mp3), 2)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    options = parser.parse_args()
    if not shutil.which("ffmpeg"):
        print("no ffmpeg here (Debian: apt-get install ffmpeg): libav alone", file=sys.stderr)
    print(json.dumps(asyncio.run(measure(options.quick)), indent=2))

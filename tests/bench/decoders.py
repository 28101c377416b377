"""Ways to decode MP3 to 16 kHz PCM, of which the bench (decoding.py) says what each costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

import av
import numpy as np

from opentalking.resampling import Resampler
from opentalking.tts.decoding import decoder
from opentalking.types import MODEL_RATE, Int16

RATE = 24_000
FRAME = 576  # samples of an MP3 frame at this rate
FRAME_BYTES = FRAME * MODEL_RATE // RATE * 2  # what comes out for it
QUICK_FLAGS = ("-fflags", "+nobuffer+flush_packets", "-flags", "low_delay", "-probesize", "32", "-analyzeduration", "0")
_PUSH = 12  # silent frames that push a fragment's end out of the kept process

Pieces = AsyncGenerator[list[bytes], None]


class Way(Protocol):
    """A way to decode; `pids` are the processes it keeps."""

    pids: list[int]

    async def open(self) -> None: ...

    def decode(self, pieces: Pieces) -> AsyncGenerator[bytes, None]:
        """s16 at 16 kHz of a fragment, given as lists of frames. Closing it aborts."""

    async def close(self) -> None: ...


class Libav:
    """The product's own."""

    def __init__(self) -> None:
        self.pids: list[int] = []

    async def open(self) -> None:
        """Nothing to start."""

    async def decode(self, pieces: Pieces) -> AsyncGenerator[bytes, None]:
        decoding, resampler = decoder("mp3", RATE), Resampler(RATE, MODEL_RATE)
        async for piece in pieces:
            for chunk in decoding.push(b"".join(piece)):
                resampler.push(chunk.data)
            if resampler.waiting:
                yield resampler.take(resampler.waiting).tobytes()
        for chunk in decoding.finish():
            resampler.push(chunk.data)
        resampler.finish(1)
        yield resampler.take(resampler.waiting).tobytes()

    async def close(self) -> None:
        """Nothing to stop."""


async def started(*flags: str) -> asyncio.subprocess.Process:
    quick = ("-flush_packets", "1") if flags else ()
    command = (
        "ffmpeg",
        "-v",
        "quiet",
        *flags,
        "-f",
        "mp3",
        "-i",
        "-",
        *quick,
        "-f",
        "s16le",
        "-ar",
        "16000",
        "-ac",
        "1",
    )
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*command, "-", stdin=pipe, stdout=pipe)


async def ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


class Each:
    """A process a fragment."""

    def __init__(self, *flags: str) -> None:
        self.pids: list[int] = []
        self._flags = flags

    async def open(self) -> None:
        """Nothing is kept."""

    async def decode(self, pieces: Pieces) -> AsyncGenerator[bytes, None]:
        process = await started(*self._flags)
        self.pids = [process.pid]
        writing = asyncio.create_task(self._write(process, pieces))
        try:
            assert process.stdout is not None
            while pcm := await process.stdout.read(1 << 16):
                yield pcm
            await process.wait()
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await ended(process)

    async def _write(self, process: asyncio.subprocess.Process, pieces: Pieces) -> None:
        assert process.stdin is not None
        async for piece in pieces:
            process.stdin.write(b"".join(piece))
            await process.stdin.drain()
        process.stdin.close()

    async def close(self) -> None:
        """Nothing is kept."""


class Kept:
    """One process, warm; fragments go through it one after another with silence between them."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self._ends = 0  # where the fragment ends, in bytes of PCM; 0 while that is not known
        self._silence = frames(np.zeros(RATE, np.int16))[4 : 4 + _PUSH]
        self._fed = self._taken = 0  # bytes of PCM that what was sent comes to, and that have come

    async def open(self) -> None:
        self._process = await started(*QUICK_FLAGS)
        self.pids = [self._process.pid]
        await self._send(self._silence)
        await self._read()

    async def decode(self, pieces: Pieces) -> AsyncGenerator[bytes, None]:
        begins, self._ends = self._fed, 0
        writing = asyncio.create_task(self._write(pieces))
        try:
            while not self._ends or self._taken < self._ends:
                before, pcm = self._taken, await self._read()
                pcm = pcm[max(0, begins - before) : self._ends - before if self._ends else None]
                if pcm:
                    yield pcm
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            if not self._ends:
                await self._finish()
            while self._taken < self._ends:  # nothing of it may come before the next fragment's
                await self._read()

    async def _write(self, pieces: Pieces) -> None:
        async for piece in pieces:
            await self._send(piece)
        await self._finish()

    async def _finish(self) -> None:
        self._ends = self._fed
        await self._send(self._silence)

    async def _send(self, piece: list[bytes]) -> None:
        assert self._process.stdin is not None
        self._fed += len(piece) * FRAME_BYTES
        self._process.stdin.write(b"".join(piece))
        await self._process.stdin.drain()

    async def _read(self) -> bytes:
        assert self._process.stdout is not None
        pcm = await self._process.stdout.read(1 << 16)
        self._taken += len(pcm)
        return pcm

    async def close(self) -> None:
        await ended(self._process)


def frames(samples: Int16) -> list[bytes]:
    """MP3 frames without any header, as Edge sends them."""
    codec = av.CodecContext.create("libmp3lame", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = RATE, "mono", "s16p", 48_000
    encoded: list[bytes] = []
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + FRAME], "s16p", "mono")
        frame.sample_rate = RATE
        encoded += map(bytes, codec.encode(frame))
    return encoded

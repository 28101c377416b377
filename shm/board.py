"""A session's blackboard: the few numbers that every process of a session must see at once.

    0     magic
    64    generation as the speech process knows it      one cell, one cache line, one writer each;
    128   generation as the inference process knows it   the session's generation is the highest of the three,
    192   generation as the rtc process knows it         so the process that hears of an interrupt first silences all
    256   playout cursor: generation, fragment, sample, check
    320   pose: position of the face in its idle loop    written by rtc, as the cursor is
    384   first frame: generation, time in microseconds  when inference had the turn's first frame; for the figures
    448   newest turn that inference has begun            what of it is lost when that process dies cannot be had again
    512   turn that is to hold still; 0: none             written by speech: somebody speaks, and may mean it

The cursor is what was handed to RTP, nothing else. It is overwritten every 20 ms while readers look: a reader takes it
only if the check word (a mix of the three) agrees, so no fence is needed. (A plain xor would not do: that of turn 2,
fragment 1 is that of turn 3, fragment 0.)

What must not be missed (a fragment began to sound, a turn ended or was cut) also travels as *marks*: 40-byte records
through a pipe of their own from rtc to speech, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from shm.segment import Segment

MAGIC: Final = b"OTBOARD1"
BOARD_BYTES: Final = 4096
_CURSOR_WORD: Final = 256 // 8
_POSE_WORD: Final = 320 // 8
_MARK = struct.Struct("<IIQQdQ")  # kind, fragment, generation, sample, unix time, rtp time stamp
_FIRST_FRAME_WORD: Final = 384 // 8
_WORD_MASK: Final = 0xFFFFFFFFFFFFFFFF
_BEGUN_WORD: Final = 448 // 8
_PAUSED_WORD: Final = 512 // 8
_CURSOR_TRIES: Final = 4
_MARKS_READ: Final = _MARK.size * 256


class Writer(IntEnum):
    """Who writes which generation cell (its word index)."""

    SPEECH = 64 // 8
    INFERENCE = 128 // 8
    RTC = 192 // 8


class MarkKind(IntEnum):
    """What happened at the playout."""

    FRAGMENT_STARTED = 1
    PROGRESS = 2  # about once a second while speaking
    TURN_ENDED = 3
    TURN_CUT = 4  # the generation was raised while it sounded, or before it could
    PAUSED = 5  # holds still after this sample
    RESUMED = 6  # goes on with the sample after it


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last sample handed to RTP: its turn's generation, its fragment, its position there (48 kHz samples)."""

    generation: int
    fragment: int
    sample: int


@dataclass(frozen=True, slots=True)
class Mark:
    """An event of the playout. `sample` counts within the fragment at 48 kHz; `time` is Unix time in seconds.

    `video_timestamp`: RTP time stamp of the picture that goes with it, as the browser sees it; 0 if there is none.
    """

    kind: MarkKind
    generation: int
    fragment: int
    sample: int
    time: float
    video_timestamp: int = 0


def _check(cursor: Cursor) -> int:
    """A word that differs between neighbouring cursors and is 0 for a new board's: fields times large odd constants."""
    generation, fragment, sample = cursor.generation, cursor.fragment, cursor.sample
    return (generation * 0x9E3779B97F4A7C15 + fragment * 0xC2B2AE3D27D4EB4F + sample) & _WORD_MASK


class Board:
    """One process's handle on a session's blackboard. `writer` says whose cells it may write."""

    def __init__(self, path: Path, writer: Writer) -> None:
        def initialise(memory: memoryview) -> None:
            memory[: len(MAGIC)] = MAGIC

        self._segment = Segment(path, BOARD_BYTES, initialise)
        self._words = self._segment.memory.cast("Q")
        self._writer = writer
        self._seen = Cursor(0, 0, 0)
        marks = path.with_name(path.name + ".marks")
        with contextlib.suppress(FileExistsError):
            os.mkfifo(marks, 0o600)
        self._marks_fd = os.open(marks, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def generation(self) -> int:
        """The session's current generation; whatever carries a lower one must not be played."""
        words = self._words
        return max(words[Writer.SPEECH], words[Writer.INFERENCE], words[Writer.RTC])

    def raise_generation(self, generation: int) -> bool:
        """Make `generation` known to all; False if it was already. Never lowers it."""
        raised = generation > self.generation
        if generation > self._words[self._writer]:
            self._words[self._writer] = generation
        return raised

    @property
    def cursor(self) -> Cursor:
        """The newest cursor that could be read whole; if its writer stopped half-way, the one before."""
        for _ in range(_CURSOR_TRIES):
            generation, fragment, sample, check = self._words[_CURSOR_WORD : _CURSOR_WORD + 4]
            cursor = Cursor(generation, fragment, sample)
            if _check(cursor) == check:
                self._seen = cursor
                break
        return self._seen

    def write_cursor(self, cursor: Cursor) -> None:
        words, at = self._words, _CURSOR_WORD
        words[at + 3] = _WORD_MASK  # no reader takes a half-written cursor
        words[at], words[at + 1], words[at + 2] = cursor.generation, cursor.fragment, cursor.sample
        words[at + 3] = _check(cursor)

    @property
    def pose(self) -> int:
        return self._words[_POSE_WORD]

    def write_pose(self, pose: int) -> None:
        self._words[_POSE_WORD] = pose

    def write_first_frame(self, generation: int, time: float) -> None:
        """Note when a turn's first frame was ready, Unix seconds."""
        self._words[_FIRST_FRAME_WORD] = generation
        self._words[_FIRST_FRAME_WORD + 1] = int(time * 1e6)

    def first_frame(self, generation: int) -> float | None:
        """When the turn's first frame was ready, Unix seconds; None if another turn's is noted."""
        if self._words[_FIRST_FRAME_WORD] != generation:
            return None
        return self._words[_FIRST_FRAME_WORD + 1] / 1e6

    @property
    def begun(self) -> int:
        """Generation of the newest turn of which inference has taken a slot."""
        return self._words[_BEGUN_WORD]

    def write_begun(self, generation: int) -> None:
        self._words[_BEGUN_WORD] = generation

    @property
    def paused(self) -> int:
        """Generation of the turn that is to hold still, sound and mouth; 0 for none."""
        return self._words[_PAUSED_WORD]

    def write_paused(self, generation: int) -> None:
        """Let this turn hold still until 0 is written; it stays where it is, and may be cut meanwhile."""
        self._words[_PAUSED_WORD] = generation

    def mark(self, mark: Mark) -> None:
        """Send a mark; dropped only if the reader has been gone for more than a thousand of them."""
        record = _MARK.pack(mark.kind, mark.fragment, mark.generation, mark.sample, mark.time, mark.video_timestamp)
        with contextlib.suppress(BlockingIOError):
            os.write(self._marks_fd, record)

    def read_marks(self) -> list[Mark]:
        """All marks that wait, in order."""
        marks: list[Mark] = []
        while True:
            try:
                records = os.read(self._marks_fd, _MARKS_READ)
            except BlockingIOError:
                return marks
            for kind, fragment, generation, sample, time, timestamp in _MARK.iter_unpack(records):
                marks.append(Mark(MarkKind(kind), generation, fragment, sample, time, timestamp))

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the running loop when marks wait; it must read_marks()."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._marks_fd, wake)

    def close(self) -> None:
        if self._marks_fd < 0:
            return
        if self._loop is not None:
            self._loop.remove_reader(self._marks_fd)
        os.close(self._marks_fd)
        self._marks_fd = -1
        self._words.release()
        self._segment.close()

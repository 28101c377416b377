"""A session's playout without its other processes: a task that takes what is in the PCM ring and writes the marks."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Self

from opentalking.slots import SlotFlags, unpack_pcm
from shm import Cursor, Mark, MarkKind, Writer
from workers import links


class Playout:
    """`async with Playout(folder) as playout:`. Plays as fast as it gets, and holds still before fragment `until`."""

    def __init__(self, folder: Path, until: int | None = None) -> None:
        self.samples: dict[tuple[int, int], int] = {}  # that were heard of a (generation, fragment)
        self.began, self.ended = asyncio.Event(), asyncio.Event()
        self._until = until
        self._released = asyncio.Event()
        self._board, self._pcm = links.open_board(folder, Writer.RTC), links.pcm_consumer(folder)
        self._rang = asyncio.Event()
        self._pcm.listen(self._rang.set)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._play())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._pcm.close()
        self._board.close()

    def release(self) -> None:
        """Go on."""
        self._released.set()

    async def _play(self) -> None:
        while True:
            while (slot := self._pcm.front()) is None:
                self._rang.clear()
                await self._rang.wait()
            generation, (info, _, _) = slot.generation, unpack_pcm(slot.payload)
            del slot
            if info.fragment == self._until:
                await self._released.wait()
            if info.flags & SlotFlags.FRAGMENT_START:
                self._board.mark(Mark(MarkKind.FRAGMENT_STARTED, generation, info.fragment, 0, time.time()))
                self.began.set()
            heard = info.sample + info.samples
            self.samples[generation, info.fragment] = heard
            self._board.write_cursor(Cursor(generation, info.fragment, heard))
            self._pcm.advance()
            if info.flags & SlotFlags.TURN_END:
                self._board.mark(Mark(MarkKind.TURN_ENDED, generation, info.fragment, heard, time.time()))
                self.ended.set()
            await asyncio.sleep(0)

"""One engine's speech of one text, and what is no speech of it: late, stalled, dripping, endless, cut short, silent.

Only the time that the engine is waited for counts, not that in which its sound is taken. All of it is TTSError.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.pace import has_words, shortest_s
from opentalking.types import AudioChunk

log = logging.getLogger(__name__)

LONGEST_S, LONGEST_S_PER_CHAR = 10.0, 0.6  # more sound than this for a text is no speech of it
SLOWEST = 0.25  # of real time; below it nobody would follow, and a service that is merely slow is above it

Load = Callable[[str], Awaitable[TTSAdapter]]


async def loaded(load: Load, provider: str, within_s: float | None) -> TTSAdapter:
    """An engine that is ready. Raises TTSError, also if it is not within this time (None: it is waited for)."""
    with _any_error(provider):
        try:
            async with asyncio.timeout(within_s):
                return await load(provider)
        except TimeoutError:
            raise TTSError(f"{provider} was not ready within {within_s:g} s", "timeout") from None


async def in_time(
    tts: TTSAdapter, provider: str, text: str, voice: str, model: str, settings: Settings
) -> AsyncGenerator[AudioChunk, None]:
    """The speech of an engine, known by this name, and none longer than this text's can be. Raises TTSError."""
    waiting, sounded_s = _Waiting(provider, settings), 0.0
    with _any_error(provider):
        async with contextlib.aclosing(tts.synthesize_stream(text, voice or None, model or None)) as stream:
            while (chunk := await waiting.next(stream)) is not None:
                sounded_s += len(chunk.data) / chunk.sample_rate
                if sounded_s > LONGEST_S + LONGEST_S_PER_CHAR * len(text):
                    log.warning("voice %s does not stop: cut after %.0f s", provider, sounded_s)
                    return
                yield chunk
    if not sounded_s and has_words(text):
        raise TTSError(f"{provider} ended without a sound", "broken")
    if sounded_s < shortest_s(text):
        raise TTSError(f"{provider} ended after {sounded_s:.1f} s, in the middle of the text", "broken")


class _Waiting:
    """For one fragment's sound: until the first, from one to the next, and for all of it."""

    def __init__(self, provider: str, settings: Settings) -> None:
        self._provider = provider
        self._first_s, self._stall_s = settings.tts_first_pcm_timeout_s, settings.tts_stall_timeout_s
        self._waited_s = 0.0
        self._sounded_s = 0.0

    async def next(self, stream: AsyncGenerator[AudioChunk, None]) -> AudioChunk | None:
        """The next chunk with sound; None at the end. Raises TTSError."""
        began = time.monotonic()
        within_s = self._stall_s if self._sounded_s else self._first_s
        slowest_s = self._first_s + self._stall_s + self._sounded_s / SLOWEST - self._waited_s
        try:
            async with asyncio.timeout(min(within_s, slowest_s)):
                chunk = await _sounding(stream)
        except TimeoutError:
            what = "stopped in the middle of a sentence" if self._sounded_s else "gave no sound"
            told = f"{what} for {within_s:g} s" if within_s <= slowest_s else f"is slower than {SLOWEST:g} of real time"
            raise TTSError(f"{self._provider} {told}", "timeout") from None
        self._waited_s += time.monotonic() - began
        if chunk is not None:
            self._sounded_s += len(chunk.data) / chunk.sample_rate
        return chunk


async def _sounding(stream: AsyncGenerator[AudioChunk, None]) -> AudioChunk | None:
    """The next chunk that is not empty."""
    async for chunk in stream:
        if len(chunk.data):
            return chunk
        await asyncio.sleep(0)  # one that gives nothing, but at once, would let nobody else run, nor the deadline
    return None


@contextlib.contextmanager
def _any_error(provider: str) -> Iterator[None]:
    """What an engine should not raise, as TTSError: of its words nobody knows what secrets they hold."""
    try:
        yield
    except TTSError:
        raise
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("voice %s raised %s:\n%s", provider, type(error).__name__, where)
        raise TTSError(f"{provider} failed: {type(error).__name__}", "failed") from None

"""Making avatars beside the server: `opentalking avatar … --json` as a process of its own, with a low priority.

One at a time: looking at a picture takes a core for a second, a video for ten, and somebody is talking meanwhile. Those
who come then wait their turn, a few of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec

from api.errors import ApiError
from opentalking.config import Settings, env_name

log = logging.getLogger(__name__)

MOST_AT_ONCE = 8  # uploads and makings
PATIENCE_S = 5.0  # for a process that was told to stop
_NICENESS = "10"
_RESULT = {"error", "avatar_id"}  # keys of the last line


class Builder:
    """Runs one `opentalking avatar` at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._admitted = 0

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """Around an upload and what is made of it. Raises ApiError 503 if many are at it."""
        if self._admitted >= MOST_AT_ONCE:
            raise ApiError(503, "at_capacity", "many avatars are being made; try again soon", {"Retry-After": "10"})
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, *arguments: str) -> AsyncGenerator[dict[str, Any], None]:
        """What the process tells, line by line; the last is its result or has an `error`.

        Raises ApiError: 504 if it takes too long, 500 if it dies. Closing the generator ends the process."""
        async with self._turn, aclosing(self._lines(arguments)) as lines:
            async for line in lines:
                yield line

    async def _lines(self, arguments: tuple[str, ...]) -> AsyncGenerator[dict[str, Any], None]:
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", _NICENESS, sys.executable, "-m", "opentalking.cli", "avatar", *arguments, "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(),
        )
        assert process.stdout is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.avatar_build_timeout_s
        last: dict[str, Any] = {}
        try:
            while raw := await asyncio.wait_for(process.stdout.readline(), deadline - loop.time()):
                last = msgspec.json.decode(raw)
                yield last
        except TimeoutError:
            raise too_slow(self._settings) from None
        finally:
            await _end(process, early=not last.keys() & _RESULT)
        if not last.keys() & _RESULT:
            log.error("opentalking avatar %s ended with %s", arguments[0], process.returncode)
            raise ApiError(500, "internal", "something went wrong here; the log of the API says what")

    def _environment(self) -> dict[str, str]:
        """Ours, with the settings that are in force here, and one thread: others are speaking."""
        passed = {env_name(name): str(value) for name, value in msgspec.structs.asdict(self._settings).items()}
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**os.environ, **passed, **single, "OPENTALKING_ENV_FILE": os.devnull}


def too_slow(settings: Settings) -> ApiError:
    limit = settings.avatar_build_timeout_s
    return ApiError(504, "build_timeout", f"it takes longer than {limit:.0f} s; use a smaller file")


async def _end(process: asyncio.subprocess.Process, early: bool) -> None:
    """Until it is gone. Told to stop it cleans up behind itself; one that does not is killed."""
    with contextlib.suppress(ProcessLookupError):
        if early:
            process.terminate()
    try:
        await asyncio.wait_for(process.wait(), PATIENCE_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

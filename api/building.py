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
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from api.errors import ApiError
from opentalking.config import Settings, env_name

log = logging.getLogger(__name__)

MOST_WAITING = 8
_NICENESS = "10"


class Builder:
    """Runs one `opentalking avatar` at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def run(self, *arguments: str) -> AsyncGenerator[dict[str, Any], None]:
        """What the process tells, line by line; the last is its result or has an `error`.

        Raises ApiError: 503 if too many wait, 504 if it takes too long, 500 if it dies. Closing the generator ends
        the process."""
        if self._waiting >= MOST_WAITING:
            raise ApiError(503, "at_capacity", "many avatars are being made; try again soon", {"Retry-After": "10"})
        self._waiting += 1
        try:
            async with self._turn:
                async for line in self._lines(arguments):
                    yield line
        finally:
            self._waiting -= 1

    async def _lines(self, arguments: tuple[str, ...]) -> AsyncGenerator[dict[str, Any], None]:
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", _NICENESS, sys.executable, "-m", "opentalking.cli", "avatar", *arguments, "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment(),
        )
        assert process.stdout is not None
        last: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._settings.avatar_build_timeout_s):
                async for raw in process.stdout:
                    last = msgspec.json.decode(raw)
                    yield last
                await process.wait()
        except TimeoutError:
            limit = self._settings.avatar_build_timeout_s
            raise ApiError(504, "build_timeout", f"it takes longer than {limit:.0f} s; use a smaller file") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if not last.keys() & {"error", "avatar_id"}:
            log.error("opentalking avatar %s ended with %s", arguments[0], process.returncode)
            raise ApiError(500, "internal", "something went wrong here; the log of the API says what")

    def _environment(self) -> dict[str, str]:
        """Ours, with the settings that are in force here, and one thread: others are speaking."""
        passed = {env_name(name): str(value) for name, value in msgspec.structs.asdict(self._settings).items()}
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {**os.environ, **passed, **single, "OPENTALKING_ENV_FILE": os.devnull}

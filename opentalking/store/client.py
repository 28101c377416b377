"""The connection: raw commands with a bounded patience, and blocking reads that outlive a lost connection.

A call that loses Redis tries again for RETRY_S and then raises StoreUnavailable. Trying again means that a command may
run twice when only its answer was lost: a generation may skip a number (it only has to grow), and a worker may be sent
the same turn twice, under the same generation. Iterators never give up: they reconnect for ever, with a back-off.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from opentalking.store.errors import StoreUnavailable
from opentalking.store.scripts import Script

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_S = 10.0  # patience at start, when Redis may be starting too
RETRY_S = 3.0  # patience of a call
CALL_TIMEOUT_S = 2.0
BLOCK_MARGIN_S = 5.0  # a blocking read may answer this much after the time it asked for
FIRST_DELAY_S = 0.02
LONGEST_DELAY_S = 0.5
MAX_CONNECTIONS = 4096  # one a follower of events, and a few

LOST = (RedisConnectionError, RedisTimeoutError, TimeoutError, OSError)


class Backoff:
    """Waits longer each time, until `reset`."""

    def __init__(self) -> None:
        self._delay_s = FIRST_DELAY_S

    def reset(self) -> None:
        self._delay_s = FIRST_DELAY_S

    async def wait(self) -> None:
        await asyncio.sleep(self._delay_s)
        self._delay_s = min(self._delay_s * 2, LONGEST_DELAY_S)


def open_redis(url: str, socket_timeout_s: float | None) -> Redis:
    """A client that never retries by itself (it would retry inside its own retries)."""
    return Redis.from_url(
        url,
        decode_responses=True,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=socket_timeout_s,
        socket_connect_timeout=CALL_TIMEOUT_S,
        max_connections=MAX_CONNECTIONS,
    )


class Client:
    """Two pools: one for calls, which answer at once, and one for reads that wait."""

    def __init__(self, url: str) -> None:
        self._redis: Any = open_redis(url, CALL_TIMEOUT_S)
        self._waiting: Any = open_redis(url, None)

    @classmethod
    async def connect(cls, url: str, patience_s: float = CONNECT_S) -> Self:
        """Connected to `redis://…`, `rediss://…` or `unix://…`. Raises StoreUnavailable after `patience_s`."""
        store = cls(url)
        try:
            await store._try_for(patience_s, lambda: store._redis.execute_command("PING"))
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        await self._waiting.aclose()
        await self._redis.aclose()

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        await self._call("PING")

    async def _call(self, *command: str | int | float) -> Any:
        """One command, as redis-cli would take it."""
        return await self._try_for(RETRY_S, lambda: self._redis.execute_command(*command))

    async def _all(self, *commands: tuple[str | int | float, ...]) -> list[Any]:
        """Several commands in one round trip and one transaction."""

        async def run() -> list[Any]:
            async with self._redis.pipeline(transaction=True) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                return list(await pipe.execute())

        return await self._try_for(RETRY_S, run) if commands else []

    async def _script(self, script: Script, keys: Sequence[str], *args: str | int | float) -> Any:
        async def run() -> Any:
            try:
                return await self._redis.execute_command("EVALSHA", script.sha1, len(keys), *keys, *args)
            except NoScriptError:
                return await self._redis.execute_command("EVAL", script.text, len(keys), *keys, *args)

        return await self._try_for(RETRY_S, run)

    async def _wait(self, block_s: float, *command: str | int | float) -> Any:
        """A command that blocks on the server for up to `block_s`. Raises one of LOST."""
        async with asyncio.timeout(block_s + BLOCK_MARGIN_S):
            return await self._waiting.execute_command(*command)

    async def _follow(
        self, stream: str, last_id: str, silence_s: float, at_once: int = 100
    ) -> AsyncGenerator[tuple[str, dict[str, str]] | None, None]:
        """(id, fields) of every entry after `last_id`, for ever; None after each `silence_s` without one."""
        backoff = Backoff()
        block_ms = max(1, int(silence_s * 1000))
        while True:
            try:
                answer = await self._wait(
                    silence_s, "XREAD", "COUNT", at_once, "BLOCK", block_ms, "STREAMS", stream, last_id
                )
            except LOST as error:
                log.warning("reading %s: %s; trying again", stream, error)
                await backoff.wait()
                continue
            backoff.reset()
            if not answer:
                yield None
                continue
            for last_id, fields in answer[0][1]:
                yield last_id, fields

    @staticmethod
    async def _try_for(patience_s: float, run: Callable[[], Awaitable[T]]) -> T:
        deadline, backoff = time.monotonic() + patience_s, Backoff()
        while True:
            try:
                return await _heeding_cancellation(run())
            except LOST as error:
                if time.monotonic() >= deadline:
                    raise StoreUnavailable(f"Redis did not answer for {patience_s:g} s: {error}") from error
            await backoff.wait()


async def _heeding_cancellation(call: Awaitable[T]) -> T:
    """Await, and be cancelled although redis-py may not have been: it sends inside asyncio.wait_for, which before
    Python 3.12 drops a cancellation that comes just when the sending is done. A loop that was told to stop went on."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    result = await call
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return result

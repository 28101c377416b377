"""Commands: one stream a worker, first in, first out, and the replies that some of them want.

    API: XADD commands:{worker}      worker: XREAD from 0, handle, XDEL      worker: RPUSH reply:{request}, API: BLPOP

An entry is deleted only when it was handled, so what a dead incarnation left is what the next one reads first.
A command can therefore arrive twice; the generation or the session's state says whether it is still wanted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from opentalking.store import keys
from opentalking.store.client import LOST, Backoff, Client
from opentalking.store.records import Command

log = logging.getLogger(__name__)

BLOCK_S = 15.0
_decoder = msgspec.json.Decoder(Command)


class Commands(Client):
    """`opentalking:commands:{worker}` and `opentalking:reply:{request_id}`."""

    async def send(self, worker_id: str, command: Command) -> None:
        stream = keys.commands(worker_id)
        payload = msgspec.json.encode(command).decode()
        await self._all(
            ("XADD", stream, "MAXLEN", "~", keys.COMMANDS_KEPT, "*", "command", payload),
            ("PERSIST", stream),
        )

    async def commands(self, worker_id: str) -> AsyncGenerator[tuple[str, Command], None]:
        """(entry id, command) in the order they were sent, for ever. Call `done` with the id after handling."""
        async for entry in self._follow(keys.commands(worker_id), "0", BLOCK_S):
            if entry is None:
                continue
            entry_id, fields = entry
            try:
                command: Command = _decoder.decode(fields.get("command", ""))
            except msgspec.MsgspecError as error:
                log.error("dropping a command of %s that cannot be read: %s", worker_id, error)
                await self.done(worker_id, entry_id)
                continue
            yield entry_id, command

    async def done(self, worker_id: str, entry_id: str) -> None:
        await self._call("XDEL", keys.commands(worker_id), entry_id)

    async def reply(self, request_id: str, payload: dict[str, Any]) -> None:
        key = keys.reply(request_id)
        await self._all(("RPUSH", key, msgspec.json.encode(payload).decode()), ("EXPIRE", key, keys.REPLY_TTL_S))

    async def wait_reply(self, request_id: str, timeout_s: float) -> dict[str, Any] | None:
        """The reply to a request, or None after `timeout_s`."""
        deadline, backoff = time.monotonic() + timeout_s, Backoff()
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                answer = await self._wait(left_s, "BLPOP", keys.reply(request_id), max(0.01, left_s))
            except LOST as error:
                log.warning("waiting for reply %s: %s; trying again", request_id, error)
                await backoff.wait()
                continue
            if answer:
                return dict(msgspec.json.decode(answer[1]))
        return None

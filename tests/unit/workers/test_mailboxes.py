"""Commands of one session are handled in order and once, and a session that is over leaves nothing behind."""

from __future__ import annotations

import asyncio
import time

import pytest

from opentalking.store import Chat, Close, Command, Offer, Open, Speak, WindUp
from workers.mailboxes import Mailboxes

SID = "sess_0f3c9a71be22"


class Worker:
    """Keeps what it handled."""

    def __init__(self) -> None:
        self.handled: list[Command] = []
        self.done: list[str] = []
        self.mailboxes = Mailboxes(self._handle, self._done, asyncio.create_task)
        self.closed = asyncio.Event()

    async def _handle(self, command: Command) -> None:
        await asyncio.sleep(0)
        self.handled.append(command)
        if isinstance(command, Close):
            self.closed.set()

    async def _done(self, entry_id: str) -> None:
        self.done.append(entry_id)


@pytest.mark.parametrize(
    "command",
    [
        Speak(SID, 3, "Hello.", time.time()),
        Chat(SID, 3, "Hello?", time.time()),
        Offer(SID, "request", "v=0", "offer", time.time()),
    ],
)
async def test_a_command_that_comes_twice_is_handled_once_and_done_twice(command: Command) -> None:
    worker = Worker()
    for number, one in enumerate([command, WindUp(SID, 3), command, Close(SID, "client")]):
        worker.mailboxes.put(one, f"{number}-0")
    await asyncio.wait_for(worker.closed.wait(), 10)
    assert worker.handled == [command, WindUp(SID, 3), Close(SID, "client")]
    assert worker.done[:3] == ["0-0", "1-0", "2-0"]
    await worker.mailboxes.close()


async def test_a_session_that_is_closed_leaves_no_mailbox_and_no_task() -> None:
    worker, before = Worker(), asyncio.all_tasks()
    worker.mailboxes.put(Open(SID), "0-0")
    worker.mailboxes.put(Close(SID, "ended"))
    assert worker.mailboxes.sessions == {SID}
    tasks = asyncio.all_tasks() - before
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert worker.mailboxes.sessions == set()
    assert worker.done == ["0-0"], "what the worker gives itself stands in no stream"
    assert asyncio.all_tasks() == before

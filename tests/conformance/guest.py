"""A user of the server, as the original's web client is one: its order of calls, its field names, nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from tests.conformance.server import Server
from tests.support.client import Client, Events, Receiver

POLL_S = 0.75  # between two looks at a session that is being prepared
PREPARED_S = 180.0
PREPARED = ("worker_ready", "ready")


@dataclass(frozen=True)
class Turn:
    """What was answered to /speak or /chat, and where in the events the turn starts."""

    answer: dict[str, Any]
    started: int


class Guest(Client):
    """`async with Guest(server) as guest: await guest.create(); await guest.connect(); await guest.speak("Hello.")`."""

    def __init__(self, server: Server, prefix: str = "", keep_pictures: bool = False) -> None:
        super().__init__(server.base + prefix, keep_pictures)
        self.server = server
        self._forgotten: list[Receiver] = []

    async def __aexit__(self, *_: object) -> None:
        for receiver in self._forgotten:
            await receiver.close()
        await super().__aexit__()

    async def create(self, **fields: Any) -> str:
        body = {"avatar_id": self.server.avatar, "model": self.server.model, **fields}
        self.created = await self.request("POST", "/sessions", body)
        self.session_id = self.created["session_id"]
        self.events = self.listen()
        await self.prepared()
        return self.session_id

    @property
    def events_url(self) -> str:
        return f"{self.base}/sessions/{self.session_id}/events"

    async def state(self) -> str:
        return str((await self.call("GET", ""))["state"])

    async def prepared(self) -> None:
        """By the event; or by asking, because a server without replay may have told it before anybody listened."""
        async with asyncio.timeout(PREPARED_S):
            while await self.state() not in PREPARED:
                try:
                    await self.events.wait("session.queued", lambda data: data["position"] == 0, timeout_s=POLL_S)
                except TimeoutError:
                    continue
                return

    async def speak(self, text: str, **voice: str) -> Turn:
        return await self._begin("/speak", {"text": text, **voice})

    async def chat(self, prompt: str) -> Turn:
        return await self._begin("/chat", {"prompt": prompt})

    async def _begin(self, action: str, body: dict[str, str]) -> Turn:
        before = len(self.events.seen)
        answer = await self.call("POST", action, body)
        return Turn(answer, await self._find("speech.started", answer, before))

    async def told(self, turn: Turn, event: str) -> dict[str, Any]:
        """The first event of that name in the turn."""
        return self.events.seen[await self._find(event, turn.answer, turn.started)][2]

    async def ended(self, turn: Turn) -> list[tuple[str, dict[str, Any]]]:
        """Everything told of the turn, to its end."""
        end = await self._find("speech.ended", turn.answer, turn.started)
        return [(name, data) for _, name, data in self.events.seen[turn.started : end + 1]]

    async def _find(self, event: str, answer: dict[str, Any], after: int) -> int:
        """A server that numbers its turns is taken at its word."""
        number = answer.get("generation")
        return await self.events.find(event, lambda data: data.get("generation", number) == number, after)

    async def until_state(self, *states: str) -> str:
        """One of these, asked for as often as the web client does; no event of the original tells it."""
        async with asyncio.timeout(PREPARED_S):
            while (state := await self.state()) not in states:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
        return state

    async def reopen(self) -> None:
        """As a page does whose connection was lost: events from the last that was seen, and an offer of its own."""
        await self.listen_again()
        self.new_receiver()
        await self.connect()

    async def listen_again(self) -> None:
        last = next((number for number, _, _ in reversed(self.events.seen) if number), None)
        await self.events.close()
        self.events = Events(self.http, self.events_url, last)

    def listen(self) -> Events:
        return Events(self.http, self.events_url)

    def new_receiver(self) -> Receiver:
        """A page that was loaded again; the one before is forgotten."""
        self._forgotten.append(self.receiver)
        self.receiver = Receiver(self.receiver.keep_pictures)
        return self.receiver

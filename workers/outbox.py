"""What a session's client is told, in order, without anybody waiting for Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from opentalking.store import Store, StoreError

log = logging.getLogger(__name__)

_LAST_POSTS_S = 1.0


class Outbox:
    """Posts are made one after the other; one that Redis refuses is logged and lost."""

    def __init__(self, store: Store, session_id: str) -> None:
        self._store = store
        self._session_id = session_id
        self._posts: asyncio.Queue[Callable[[], Awaitable[Any]]] = asyncio.Queue()
        self._posting = asyncio.create_task(self._post_in_order())

    def put(self, post: Callable[[], Awaitable[Any]]) -> None:
        self._posts.put_nowait(post)

    def emit(self, event: str, data: dict[str, Any]) -> None:
        body = {"session_id": self._session_id, **data}
        self.put(lambda: self._store.emit(self._session_id, event, body))

    def set_state(self, state: Any) -> None:
        self.put(lambda: self._store.set_state(self._session_id, state))

    async def _post_in_order(self) -> None:
        while True:
            post = await self._posts.get()
            try:
                await post()
            except StoreError as error:
                log.warning("%s: an event is lost: %s", self._session_id, error)
            self._posts.task_done()

    async def close(self) -> None:
        """Give what waits a moment to leave."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._posts.join(), _LAST_POSTS_S)
        self._posting.cancel()

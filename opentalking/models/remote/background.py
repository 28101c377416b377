"""An asyncio loop in a thread of its own, for callers that must not wait: adapters are called from a device's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class Background:
    """A loop that runs from now on, as long as the process does. Without work it costs nothing."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name=name, daemon=True).start()

    def wait_for(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        """Run it there and wait for its result, which has a deadline of its own."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

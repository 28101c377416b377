"""A client in a process of its own, for tests that stop or kill it: `python -m tests.support.visitor URL`.

It connects, prints its session and stays until its process is killed.
"""

from __future__ import annotations

import asyncio
import sys

from .client import Client, count_only


async def stay(base: str) -> None:
    count_only()
    async with Client(base) as client:
        await client.create()
        await client.connect()
        print(client.session_id, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(stay(sys.argv[1]))

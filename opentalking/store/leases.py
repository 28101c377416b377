"""Leases: a duty that one process at a time may do, handed on when its holder falls silent."""

from __future__ import annotations

from opentalking.store import keys, scripts
from opentalking.store.client import Client


class Leases(Client):
    """`opentalking:lease:{name}`."""

    async def hold_lease(self, name: str, owner: str, ttl_s: float) -> bool:
        """Take or renew. True while `owner` holds it."""
        return bool(await self._script(scripts.LEASE, [keys.lease(name)], owner, int(ttl_s * 1000)))

    async def release_lease(self, name: str, owner: str) -> None:
        await self._script(scripts.RELEASE, [keys.lease(name)], owner)

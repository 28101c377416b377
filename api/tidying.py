"""The disk is kept free of what nobody needs any more.

Deleted avatars go when the last session that shows them has ended, seconds later. What processes have left that were
killed in the middle of something, and what is kept of avatars that are gone, is swept at the start and from time to
time.
"""

from __future__ import annotations

import asyncio
import logging

from opentalking.avatars.custom import finish_deletion, leaving
from opentalking.avatars.storage import sweep
from opentalking.config import Settings
from opentalking.store import Store, StoreError

log = logging.getLogger(__name__)

LOOK_S = 2.0
SWEEP_S = 600.0


async def keep_tidy(settings: Settings, store: Store) -> None:
    """For ever."""
    loop = asyncio.get_running_loop()
    next_sweep = loop.time()
    while True:
        try:
            await finish_deletions(settings, store)
            if loop.time() >= next_sweep:
                next_sweep += SWEEP_S
                await asyncio.to_thread(sweep, settings)
        except OSError as error:
            log.warning("tidying: %s", error)
        await asyncio.sleep(LOOK_S)


async def finish_deletions(settings: Settings, store: Store) -> None:
    """Remove the avatars that were deleted and that no session shows. Without Redis nobody knows, and they stay."""
    if not (gone := await asyncio.to_thread(leaving, settings)):
        return
    try:
        shown = {session.avatar_id for session in await store.list_sessions()}
    except StoreError as error:
        log.warning("deleted avatars stay for now: %s", error)
        return
    for avatar_id in gone:
        if avatar_id not in shown:
            await asyncio.to_thread(finish_deletion, settings, avatar_id)
            log.info("avatar %s is gone from the disk", avatar_id)

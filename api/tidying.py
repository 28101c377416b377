"""The disk is kept free of what avatars and uploads have left: at the start, because the process before may have been
killed in the middle of one, and again from time to time."""

from __future__ import annotations

import asyncio
import logging

from opentalking.avatars.storage import sweep
from opentalking.config import Settings

log = logging.getLogger(__name__)

EVERY_S = 600.0


async def keep_tidy(settings: Settings) -> None:
    """For ever."""
    while True:
        try:
            await asyncio.to_thread(sweep, settings)
        except OSError as error:
            log.warning("tidying: %s", error)
        await asyncio.sleep(EVERY_S)

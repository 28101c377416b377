"""Avatars that people made: their ids, and how they go again.

A deleted avatar is first moved aside in one step, so that nobody reads half of one. What models keep of it elsewhere
(rigs, idle clips) is named by its id and goes with it; a session that shows it holds what it needs in memory, and shows
it to its end.
"""

from __future__ import annotations

import re
import time
import unicodedata

from opentalking.avatars.bundle import AvatarError, AvatarNotFound, avatars_dir, custom_avatars_dir, find_bundle
from opentalking.avatars.incoming import incoming
from opentalking.avatars.storage import drop_caches
from opentalking.config import Settings

_NAME_CHARS = 32


class AvatarProtected(AvatarError):
    """It is not one that people made."""


def new_id(name: str) -> str:
    """custom-<slug of the name>-<milliseconds since 1970>."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_NAME_CHARS].strip("-")
    return f"custom-{slug or 'avatar'}-{time.time_ns() // 1_000_000}"


def delete_avatar(settings: Settings, avatar_id: str) -> None:
    """Remove an avatar that somebody made. Raises AvatarProtected, AvatarNotFound."""
    folder = custom_avatars_dir(settings)
    try:
        path = find_bundle(folder, avatar_id).path
    except AvatarNotFound:
        find_bundle(avatars_dir(settings), avatar_id)
        raise AvatarProtected(f"the avatar {avatar_id!r} is not one that was made here; it stays") from None
    except AvatarError:
        path = folder / avatar_id  # broken, and to be rid of
    with incoming(folder) as place:
        path.rename(place / avatar_id)
    drop_caches(settings, avatar_id)

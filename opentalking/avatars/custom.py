"""Avatars that people made: their ids, and how they go again.

    avatars/ada ── DELETE ──> avatars/.leaving/ada ── no session shows it ──> gone, with what models keep of it

Each step is one rename, so that nobody reads half of an avatar. What leaves is in no list and in no new session; a
worker that crashes and comes back still finds it for the sessions it had. The API, which has Redis, knows when the last
of them has ended.
"""

from __future__ import annotations

import contextlib
import re
import time
import unicodedata

from opentalking.avatars.bundle import (
    LEAVING,
    AvatarError,
    AvatarNotFound,
    avatars_dir,
    custom_avatars_dir,
    find_bundle,
)
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
    """Remove an avatar that somebody made, whoever shows it. Raises AvatarProtected, AvatarNotFound."""
    leave(settings, avatar_id)
    finish_deletion(settings, avatar_id)


def leave(settings: Settings, avatar_id: str) -> None:
    """The first half of a deletion: nobody finds it any more but the workers of sessions that show it already.

    Raises AvatarProtected, AvatarNotFound."""
    folder = custom_avatars_dir(settings)
    try:
        path = find_bundle(folder, avatar_id).path
    except AvatarNotFound:
        find_bundle(avatars_dir(settings), avatar_id)
        raise AvatarProtected(f"the avatar {avatar_id!r} is not one that was made here; it stays") from None
    except AvatarError:
        path = folder / avatar_id  # broken, and to be rid of
    (folder / LEAVING).mkdir(exist_ok=True)
    path.rename(folder / LEAVING / avatar_id)


def leaving(settings: Settings) -> list[str]:
    """The ids of avatars whose deletion is not finished."""
    folder = custom_avatars_dir(settings) / LEAVING
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def finish_deletion(settings: Settings, avatar_id: str) -> None:
    """The second half: its files, and what models keep of it. Does nothing if somebody else was first."""
    folder = custom_avatars_dir(settings)
    with incoming(folder) as place, contextlib.suppress(FileNotFoundError):
        (folder / LEAVING / avatar_id).rename(place / avatar_id)
    drop_caches(settings, avatar_id)

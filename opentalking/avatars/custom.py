"""Avatars that people made: their ids, the place where they grow, and how they go again.

A deleted avatar is first moved aside in one step, so that nobody reads half of one. What models keep of it elsewhere
(rigs, idle clips) is named by its id and goes with it; a session that shows it holds what it needs in memory, and shows
it to its end.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from opentalking.avatars.bundle import AvatarError, AvatarNotFound, avatars_dir, custom_avatars_dir, find_bundle
from opentalking.config import Settings

INCOMING = ".incoming"
ABANDONED_S = 3600.0  # what has lain in `.incoming/` for so long was left by a process that died
_NAME_CHARS = 32


class AvatarProtected(AvatarError):
    """It is not one that people made."""


def new_id(name: str) -> str:
    """custom-<slug of the name>-<milliseconds since 1970>."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_NAME_CHARS].strip("-")
    return f"custom-{slug or 'avatar'}-{time.time_ns() // 1_000_000}"


@contextlib.contextmanager
def incoming(folder: Path) -> Iterator[Path]:
    """A fresh folder inside `folder` (which is made), on the same disk, where no list looks; it is gone afterwards."""
    place = folder / INCOMING
    place.mkdir(parents=True, exist_ok=True)
    for old in place.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=place) as fresh:
        yield Path(fresh)


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


def drop_caches(settings: Settings, avatar_id: str) -> None:
    """Remove what models keep of an avatar: files named [model-]id-digest.suffix, a folder below the cache's."""
    ours = re.compile(rf"(?:[a-z0-9_]+-)?{re.escape(avatar_id)}-[0-9a-f]{{12,64}}\.\w+")
    for path in settings.cache_dir.glob("*/*"):
        if ours.fullmatch(path.name):
            path.unlink(missing_ok=True)

"""The disk that avatars which people made take: how much it is, how much it may be, and what nobody owns any more.

An avatar is its bundle and what models keep of it in this node's cache: its rig, and the idle loop, which is most of it
(80 to 280 MB). Those are named [model-]id-digest.suffix, so whose they are can be told from the name alone.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opentalking.avatars.bundle import LEAVING, AvatarError, avatar_folders, custom_avatars_dir
from opentalking.avatars.incoming import ABANDONED_S, INCOMING, sweep_incoming
from opentalking.config import Settings, env_name

CACHES = ("idle", "portrait")  # folders below cache_dir whose files are named by avatar
_KEPT = re.compile(r"(?P<whose>.+)-[0-9a-f]{12,64}\.\w+")
_MODEL = re.compile(r"[a-z0-9_]+-")
_DRAFT = re.compile(r"\.clip-.*|.*\.tmp")  # of a file that a process died over

_log = logging.getLogger(__name__)


class AvatarsFull(AvatarError):
    """There is no room for another one; the message has the figures."""

    code = "avatars_full"


@dataclass(frozen=True, slots=True)
class Use:
    """So many avatars, and the bytes of them and of what is kept of them, and of those that are leaving."""

    avatars: int
    size: int


def use_of(settings: Settings) -> Use:
    """What the avatars that people made take now. Reads the disk, a file at a time."""
    folder = custom_avatars_dir(settings)
    ids, going = _ids(folder), _ids(folder / LEAVING)
    bundles = sum(_size(path) for path in folder.glob("*") if path.name != INCOMING)
    caches = sum(_size(path) for path in _caches(settings) if _owners(path) & (ids | going))
    return Use(len(ids), bundles + caches)


def require_room(settings: Settings, adding: Path | None = None) -> None:
    """Raise AvatarsFull if there is no room for another avatar, or not for the one that has grown at `adding`."""
    use, most = use_of(settings), settings.max_custom_avatars
    if use.avatars >= most:
        setting = env_name("max_custom_avatars")
        if most == 0:
            raise AvatarsFull(f"nobody may make avatars here ({setting}=0)")
        raise AvatarsFull(f"{use.avatars} of {most} avatars that may be made are there ({setting}); delete one first")
    size, most = 0, settings.max_custom_avatars_bytes
    if adding is not None:
        size = _size(adding) + sum(_size(path) for path in _caches(settings) if adding.name in _owners(path))
    if use.size + max(size, 1) > most:
        needs = f", this one needs {told_size(size)}" if size else ""
        setting = env_name("max_custom_avatars_bytes")
        raise AvatarsFull(
            f"the avatars that people made take {told_size(use.size)} of the disk and may take {told_size(most)} "
            f"({setting}){needs}; delete one first"
        )


def drop_caches(settings: Settings, avatar_id: str) -> None:
    """Remove what models keep of an avatar: files named [model-]id-digest.suffix, a folder below the cache's."""
    for path in settings.cache_dir.glob("*/*"):
        if avatar_id in _owners(path) and path.is_file():
            path.unlink(missing_ok=True)


def sweep(settings: Settings) -> None:
    """Remove what belongs to nobody: uploads and half-made avatars of processes that died, their drafts in the cache,
    and what is kept there of avatars that are gone. Whatever else is in the cache stays."""
    sweep_incoming(custom_avatars_dir(settings))
    kept = [path for path in _caches(settings) if _untouched(path)]  # before the ids: an avatar may appear meanwhile
    folders = (*avatar_folders(settings), custom_avatars_dir(settings) / LEAVING)
    known = set[str]().union(*map(_ids, folders))
    for path in kept:
        owners = _owners(path)
        if (owners and not owners & known) or _DRAFT.fullmatch(path.name):
            _log.info("%s belongs to no avatar: removed, %s", path.name, told_size(_size(path)))
            path.unlink(missing_ok=True)


def _ids(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/manifest.json")}


def _caches(settings: Settings) -> Iterator[Path]:
    for name in CACHES:
        yield from (settings.cache_dir / name).glob("*")


def _owners(path: Path) -> set[str]:
    """Whose a cached file is by its name, two where the folder does not tell whether a model stands in front; none if
    it is not named so."""
    if not (kept := _KEPT.fullmatch(path.name)):
        return set()
    whole, without_model = kept["whose"], _MODEL.sub("", kept["whose"], count=1)
    return {"idle": {without_model}, "portrait": {whole}}.get(path.parent.name, {whole, without_model})


def _untouched(path: Path) -> bool:
    """Long enough that nobody is at work on it."""
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_S
    except OSError:
        return False


def _size(path: Path) -> int:
    """Bytes of a file, or of all in a folder; what vanishes meanwhile is none."""
    if path.is_dir():
        return sum(_size(inside) for inside in path.iterdir())
    try:
        return path.stat().st_size
    except OSError:
        return 0


def told_size(size: int) -> str:
    """For a person."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"

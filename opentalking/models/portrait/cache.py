"""Rigs on disk, so that a process starts with a known picture in milliseconds.

One .npz a rig, named by what it was made from: the picture's bytes, the options and the rig's version. It is written
beside its final name and moved there, so a reader sees all of it or none; one that cannot be read is made again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np

from opentalking.models.portrait.rig import RIG_VERSION, Rig

_log = logging.getLogger(__name__)


def rig_key(picture: bytes, width: int, height: int, flat_teeth: bool, filmed: bool = False) -> str:
    """The name of a rig made from this picture in this way."""
    digest = hashlib.sha256(picture)
    digest.update(f"|{RIG_VERSION}|{width}x{height}|{flat_teeth}|{filmed}".encode())
    return digest.hexdigest()[:32]


def cached_rig(folder: Path, key: str, build: Callable[[], Rig]) -> Rig:
    """The rig of that key from `folder`, or a new one from `build`, which is then kept there."""
    path = folder / f"{key}.npz"
    rig = _read(path)
    if rig is None:
        rig = build()
        _write(path, rig)
    return rig


def _read(path: Path) -> Rig | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Rig(**{field.name: stored[field.name] for field in fields(Rig)})
    except Exception as error:  # a damaged zip raises many kinds; all mean the same
        _log.warning("cached rig %s is damaged (%s), making it again", path.name, error)
        return None


def _write(path: Path, rig: Rig) -> None:
    """Keep the rig; a folder that cannot be written costs time at the next start, nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, allow_pickle=False, **{field.name: getattr(rig, field.name) for field in fields(Rig)})
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        _log.warning("cannot keep rig %s: %s", path, error)

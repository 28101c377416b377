"""An avatar bundle: a folder whose `manifest.json` says what the files beside it are.

    presenter/
      manifest.json     id, model_type, fps, sample_rate, width, height, version; optional name, metadata
      reference.png     the picture (or .jpg, .jpeg)
      preview.png       picture for lists and for the page before it is connected; optional

The folder's name is the avatar's id. What a model keeps beside these files is its own affair, described in `metadata`.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from opentalking.config import Settings

LEAVING = ".leaving"  # beside the avatars that people made: deleted ones that sessions still show
PACKAGED = Path(__file__).parent / "bundles"
REFERENCE_NAMES = ("reference.png", "reference.jpg", "reference.jpeg")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_log = logging.getLogger(__name__)

Side = Annotated[int, Meta(ge=64, le=4096, multiple_of=2)]  # pixels; even, because chroma has half of them


class AvatarError(Exception):
    """A bundle cannot be used; the message names the file or field and what is wrong with it."""


class AvatarNotFound(AvatarError):
    """There is no such avatar."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`manifest.json`. Unknown fields are left alone, so that bundles of newer versions stay readable."""

    id: Annotated[str, Meta(pattern=rf"^{_PLAIN_NAME.pattern}$")]
    model_type: Annotated[str, Meta(min_length=1)]
    fps: Annotated[int, Meta(ge=1, le=120)]
    sample_rate: Annotated[int, Meta(ge=8_000, le=192_000)]
    width: Side
    height: Side
    version: str
    name: str = ""
    metadata: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was read: its folder, its manifest and the picture files that exist."""

    path: Path
    manifest: Manifest
    reference: Path
    preview: Path

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def name(self) -> str:
        return self.manifest.name or self.manifest.id


def avatars_dir(settings: Settings) -> Path:
    """The folder of bundles that nobody deletes over HTTP: the setting, or the packaged one."""
    return Path(settings.avatars_dir).expanduser() if settings.avatars_dir else PACKAGED


def custom_avatars_dir(settings: Settings) -> Path:
    """The folder of avatars that people made; it need not exist."""
    chosen = settings.custom_avatars_dir
    return Path(chosen).expanduser() if chosen else Path(settings.run_dir).expanduser() / "avatars"


def avatar_folders(settings: Settings) -> tuple[Path, ...]:
    """Where avatars are looked for, in this order: what people make never hides what was there."""
    return avatars_dir(settings), custom_avatars_dir(settings)


def list_avatars(settings: Settings) -> list[Bundle]:
    """All usable avatars, those that nobody deletes first; of two with one id the first."""
    found: dict[str, Bundle] = {}
    for folder in avatar_folders(settings):
        for bundle in list_bundles(folder):
            found.setdefault(bundle.id, bundle)
    return list(found.values())


def find_avatar(settings: Settings, avatar_id: str, leaving: bool = False) -> Bundle:
    """The avatar of that id; with `leaving`, also one that is deleted and still shown. Raises AvatarNotFound if there
    is none, AvatarError if it is broken."""
    folders = avatar_folders(settings)
    for folder in (*folders, custom_avatars_dir(settings) / LEAVING) if leaving else folders:
        try:
            return find_bundle(folder, avatar_id)
        except AvatarNotFound:
            continue
    known = ", ".join(bundle.id for bundle in list_avatars(settings)) or "none"
    raise AvatarNotFound(f"no avatar {avatar_id!r}; known: {known}")


def read_bundle(path: Path) -> Bundle:
    """Read a bundle's manifest and find its pictures. Raises AvatarError naming the file or field."""
    manifest_path = path / "manifest.json"
    where = f"{path.name}/manifest.json"
    try:
        raw = manifest_path.read_bytes()
    except OSError as error:
        raise AvatarError(f"{where}: {error.strerror}") from None
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AvatarError(f"{where}: {error}") from None
    if manifest.id != path.resolve().name:
        raise AvatarError(f"{where}: id {manifest.id!r} is not the folder's name {path.resolve().name!r}")
    reference = next((path / name for name in REFERENCE_NAMES if (path / name).is_file()), None)
    if reference is None:
        raise AvatarError(f"{path.name}: no picture, expected one of {', '.join(REFERENCE_NAMES)}")
    preview = path / "preview.png"
    return Bundle(path, manifest, reference, preview if preview.is_file() else reference)


def list_bundles(directory: Path) -> list[Bundle]:
    """All usable bundles of a folder by id. A broken one is logged and left out: it must not hide the others."""
    bundles = []
    for manifest_path in sorted(directory.glob("*/manifest.json")):
        try:
            bundles.append(read_bundle(manifest_path.parent))
        except AvatarError as error:
            _log.warning("avatar left out: %s", error)
    return bundles


def is_plain_id(avatar_id: str) -> bool:
    """Can this be an avatar's id, that is the name of a folder and nothing else?"""
    return _PLAIN_NAME.fullmatch(avatar_id) is not None


def find_bundle(directory: Path, avatar_id: str) -> Bundle:
    """The bundle of that id directly inside `directory`; an id is a plain name and never leads out of the folder.

    Raises AvatarNotFound if there is none, AvatarError if it is broken.
    """
    path = directory / avatar_id if is_plain_id(avatar_id) else None
    if path is None or path.resolve().parent != directory.resolve() or not path.is_dir():
        known = ", ".join(bundle.id for bundle in list_bundles(directory)) or "none"
        raise AvatarNotFound(f"no avatar {avatar_id!r}; known: {known}")
    return read_bundle(path)

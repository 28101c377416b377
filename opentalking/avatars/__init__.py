"""Avatars on disk: the bundle format, and where the face is in a picture."""

from opentalking.avatars.bundle import (
    AvatarError,
    AvatarNotFound,
    Bundle,
    Manifest,
    avatars_dir,
    find_bundle,
    list_bundles,
    read_bundle,
)

__all__ = [
    "AvatarError",
    "AvatarNotFound",
    "Bundle",
    "Manifest",
    "avatars_dir",
    "find_bundle",
    "list_bundles",
    "read_bundle",
]

"""Avatars on disk: the bundle format, and where the face is in a picture."""

from opentalking.avatars.bundle import (
    AvatarError,
    AvatarNotFound,
    Bundle,
    Manifest,
    avatar_folders,
    avatars_dir,
    custom_avatars_dir,
    find_avatar,
    find_bundle,
    list_avatars,
    list_bundles,
    read_bundle,
)

__all__ = [
    "AvatarError",
    "AvatarNotFound",
    "Bundle",
    "Manifest",
    "avatar_folders",
    "avatars_dir",
    "custom_avatars_dir",
    "find_avatar",
    "find_bundle",
    "list_avatars",
    "list_bundles",
    "read_bundle",
]

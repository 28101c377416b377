"""A form with one file, written to disk as it arrives: never more than is allowed, and never half of one taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, web

from api.errors import ApiError, too_large
from api.middleware import allowed_origin

_PIECE = 256 * 1024
_FIELD_BYTES = 4096
_FORM_BYTES = 64 * 1024  # of a form, beside its file


@dataclass(frozen=True, slots=True)
class Upload:
    """What arrived: the file and the name of its field, and the other fields as text."""

    path: Path
    field: str
    fields: Mapping[str, str]


async def receive(request: web.Request, files: Mapping[str, int], folder: Path) -> Upload:
    """The form of a request, its file inside `folder`. `files`: the names a file may have, and the most bytes of each.

    Raises ApiError: 403 (another site's form), 413, 415, 400 (no form, no file, more than one)."""
    require_own_page(request)
    if (request.content_length or 0) > max(files.values()) + _FORM_BYTES:
        raise too_large(max(files.values()))
    if request.content_type != "multipart/form-data":
        raise ApiError(415, "unsupported_media_type", f"body: send multipart/form-data, not {request.content_type}")
    wanted = " or ".join(files)
    fields: dict[str, str] = {}
    found: tuple[Path, str] | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise ApiError(400, "invalid_form", "body: a form within a form")
            name = part.name or ""
            if name not in files:
                fields[name] = (await _text(part)).decode()
            elif found is not None:
                raise ApiError(400, "one_file_only", f"body: send one file, {wanted}, not several")
            else:
                found = folder / "upload", name
                if not await _store(part, found[0], files[name]):
                    raise ApiError(400, "file_empty", f"{name}: must not be empty")
    except (ValueError, AssertionError) as error:  # what aiohttp makes of a form that is cut off or is none
        raise ApiError(400, "invalid_form", f"body: not a form: {error}") from None
    if found is None:
        raise ApiError(400, "file_missing", f"body: send a file as {wanted}")
    return Upload(*found, fields)


def require_own_page(request: web.Request) -> None:
    """A foreign page can send a form without asking first (CORS). Raises ApiError 403."""
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host and not allowed_origin(request):
        raise ApiError(403, "foreign_origin", f"pages of {origin} may not send this; see OPENTALKING_CORS_ORIGINS")


async def _store(part: BodyPartReader, path: Path, limit: int) -> int:
    """Write a part to a file, off the loop; its size."""
    with await asyncio.to_thread(path.open, "wb") as file:
        return await _copy(part, file, limit)


async def _copy(part: BodyPartReader, file: BinaryIO, limit: int) -> int:
    size = 0
    while piece := await part.read_chunk(_PIECE):
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        await asyncio.to_thread(file.write, piece)
    return size


async def _text(part: BodyPartReader) -> bytes:
    content = bytearray()
    while piece := await part.read_chunk(_FIELD_BYTES):
        content += piece
        if len(content) > _FIELD_BYTES:
            raise too_large(_FIELD_BYTES)
    return bytes(content)

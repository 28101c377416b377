"""A form with one file, written to disk as it arrives: never more than is allowed, and never half of one taken.

Whoever sends holds one of few places (`Builder.admitted`), so who sends nothing, or next to nothing, loses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from api.errors import ApiError, too_large
from api.middleware import allowed_origin

SILENCE_S = 10.0  # so long a sender may be silent in all
SLOWEST = 8_000  # bytes that buy another second
_PIECE = 256 * 1024
_FIELD_BYTES = 4096
_FORM_BYTES = 64 * 1024  # of a form, beside its file
_PART_BYTES = 512  # what the headers of a part count for

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upload:
    """What arrived: the file and the name of its field, and the other fields as text."""

    path: Path
    field: str
    fields: Mapping[str, str]


class _Patience:
    """With a sender: SILENCE_S of waiting in all, and a second more for every SLOWEST bytes that came."""

    def __init__(self) -> None:
        self._left_s = SILENCE_S

    async def wait_for(self, reading: Awaitable[T]) -> T:
        """What is read. Raises ApiError 408."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                return await reading
        except TimeoutError:
            raise ApiError(408, "upload_stalled", "body: it came too slowly, or stopped; send it again") from None
        finally:
            self._left_s -= loop.time() - began

    def came(self, size: int) -> None:
        self._left_s += size / SLOWEST


async def receive(request: web.Request, files: Mapping[str, int], folder: Path) -> Upload:
    """The form of a request, its file inside `folder`. `files`: the names a file may have, and the most bytes of each.

    Raises ApiError: 403 (another site's form), 408, 413, 415, 400 (no form, no file, or something sent twice)."""
    require_own_page(request)
    if (request.content_length or 0) > max(files.values()) + _FORM_BYTES:
        raise too_large(max(files.values()))
    if request.content_type != "multipart/form-data":
        raise ApiError(415, "unsupported_media_type", f"body: send multipart/form-data, not {request.content_type}")
    try:
        return await _parts(request, files, folder / "upload")
    except (ValueError, AssertionError, BadHttpMessage) as error:
        # what aiohttp makes of a form that is cut off or is none
        raise ApiError(400, "invalid_form", f"body: not a form: {error}") from None


async def _parts(request: web.Request, files: Mapping[str, int], path: Path) -> Upload:
    patience, beside = _Patience(), 0
    fields: dict[str, str] = {}
    field = ""
    parts = await request.multipart()
    while (part := await patience.wait_for(parts.next())) is not None:
        if not isinstance(part, BodyPartReader):
            raise ApiError(400, "invalid_form", "body: a form within a form")
        name = part.name or ""
        if name in fields:
            raise ApiError(400, "invalid_form", f"{name}: sent more than once")
        if name not in files:
            content = await _text(part, patience)
            beside += _PART_BYTES + len(content)
            if beside > _FORM_BYTES:
                raise too_large(_FORM_BYTES)
            fields[name] = content.decode()
        elif field:
            raise ApiError(400, "one_file_only", f"body: send one file, {' or '.join(files)}, not several")
        else:
            field = name
            if not await _store(part, path, files[name], patience):
                raise ApiError(400, "file_empty", f"{name}: must not be empty")
    if not field:
        raise ApiError(400, "file_missing", f"body: send a file as {' or '.join(files)}")
    return Upload(path, field, fields)


def require_own_page(request: web.Request) -> None:
    """A foreign page can send a form without asking first (CORS). Raises ApiError 403."""
    origin = request.headers.get("Origin")
    if origin and urlsplit(origin).netloc != request.host and not allowed_origin(request):
        raise ApiError(403, "foreign_origin", f"pages of {origin} may not send this; see OPENTALKING_CORS_ORIGINS")


async def _store(part: BodyPartReader, path: Path, limit: int, patience: _Patience) -> int:
    """Write a part to a file, off the loop; its size."""
    with await asyncio.to_thread(path.open, "wb") as file:
        return await _copy(part, file, limit, patience)


async def _copy(part: BodyPartReader, file: BinaryIO, limit: int, patience: _Patience) -> int:
    size = 0
    while piece := await patience.wait_for(part.read_chunk(_PIECE)):
        patience.came(len(piece))
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        await asyncio.to_thread(file.write, piece)
    return size


async def _text(part: BodyPartReader, patience: _Patience) -> bytes:
    content = bytearray()
    while piece := await patience.wait_for(part.read_chunk(_FIELD_BYTES)):
        content += piece
        if len(content) > _FIELD_BYTES:
            raise too_large(_FIELD_BYTES)
    return bytes(content)

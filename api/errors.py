"""Everything that can go wrong crosses the API in one shape: {"detail": a sentence, "code": a stable word}.

400 422   the request is wrong; `detail` opens with the name of the field        404   there is no such thing
403       not allowed
409       not in this state        413   too large        502 504   a worker refused, or did not answer
507       no room on the disk, or none for more avatars
503       nobody can take it now: no_workers, at_capacity, draining, store_unavailable
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})


def session_not_found(session_id: str) -> ApiError:
    return ApiError(404, "session_not_found", f"session {session_id} not found")


def too_large(limit_bytes: int) -> ApiError:
    return ApiError(413, "body_too_large", f"body: larger than {limit_bytes} bytes")


_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?$")
_AT = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>[^`]*)`$", re.DOTALL)


def name_the_field(message: str) -> str:
    """msgspec's message with the field in front.

    "Expected `str`, got `int` - at `$.text`" -> "text: Expected `str`, got `int`";
    "Object missing required field `text`" -> "text: required".
    """
    if missing := _MISSING.match(message):
        path = ".".join(part for part in (missing["path"], missing["field"]) if part)
        return f"{path}: required"
    if at := _AT.match(message):
        return f"{at['path'] or 'body'}: {at['what']}"
    return f"body: {message}"


def wrong_body(error: msgspec.MsgspecError) -> ApiError:
    """400 for what is not JSON, 422 for JSON of another shape."""
    if isinstance(error, msgspec.ValidationError):
        return ApiError(422, "invalid_field", name_the_field(str(error)))
    return ApiError(400, "invalid_json", f"body: {error}")

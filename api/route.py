"""One row of the route table, and how it becomes a handler: body decoded on the way in, Struct encoded on the way out.

The row is the only description of an endpoint: what it declares as body is what is decoded, what it declares as answer
is what is encoded, and `/openapi.json` is printed from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from api.context import SETTINGS
from api.errors import ApiError, too_large, wrong_body

Handler: TypeAlias = Callable[..., Awaitable[Any]]
AiohttpHandler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON = "application/json"
FORM_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter, always optional."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form that the handler reads by itself: `fields` (a Struct), and a file under the name `file`, or
    under the name `instead`."""

    fields: Any
    file: str
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint. The handler takes (request) or, with a body, (request, body).

    It gives an `answer` to be encoded as JSON, or a response of its own when `answer` is None.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any = None
    body: Any = None
    answer_type: str = JSON
    errors: tuple[int, ...] = ()
    query: tuple[Query, ...] = ()
    form: Form | None = None
    status: int = 200  # of success

    def serve(self) -> AiohttpHandler:
        decoder = msgspec.json.Decoder(self.body) if self.body is not None else None

        async def handle(request: web.Request) -> web.StreamResponse:
            if decoder is None:
                result = await self.handler(request)
            else:
                result = await self.handler(request, decode(decoder, await read_body(request)))
            if isinstance(result, web.StreamResponse):
                return result
            return json_response(result)

        return handle


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=_encoder.encode(value), status=status, content_type=JSON, headers=headers)


def decode(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise wrong_body(error) from None
    except UnicodeDecodeError:
        raise ApiError(400, "invalid_json", "body: not UTF-8") from None


async def read_body(request: web.Request) -> bytes:
    """The whole body, never more than `max_body_bytes`: refused by its announced length, or while it arrives."""
    if request.headers.get("Origin") and request.content_type in FORM_TYPES:
        # What a foreign page can send without asking first (CORS): a form, or text.
        raise ApiError(415, "unsupported_media_type", f"body: send {JSON}, not {request.content_type}")
    limit = request.app[SETTINGS].max_body_bytes
    if (request.content_length or 0) > limit:
        raise too_large(limit)
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(limit) from None

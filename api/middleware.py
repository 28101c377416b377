"""Around every request: one shape for errors, CORS, counting, and a log line without bodies."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from api.context import INSTRUMENTS, SETTINGS
from api.errors import ApiError
from api.route import json_response
from api.schemas import Problem
from opentalking.store import StoreUnavailable, UnknownSession

log = logging.getLogger("api.access")

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]

QUIET = ("/healthz", "/metrics")  # asked every few seconds by machines
METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")  # a client may invent others
PREFLIGHT_S = 600
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def problem(error: ApiError) -> web.Response:
    return json_response(Problem(error.detail, error.code), error.status, error.headers)


@web.middleware
async def errors(request: web.Request, handler: Next) -> web.StreamResponse:
    """Whatever is raised becomes {"detail", "code"}; what nobody expected is logged and told as `internal`."""
    try:
        return await handler(request)
    except ApiError as error:
        return problem(error)
    except UnknownSession as error:
        return problem(ApiError(404, "session_not_found", str(error)))
    except StoreUnavailable as error:
        log.error("%s", error)
        return problem(ApiError(503, "store_unavailable", "Redis does not answer", {"Retry-After": "1"}))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        detail = f"{request.method} {request.path}: {error.reason.lower()}"
        return problem(ApiError(error.status, HTTP_CODES.get(error.status, "http_error"), detail, headers))
    except Exception as error:
        if isinstance(error, ConnectionError) and is_gone(request):
            log.info("%s %s was broken off", request.method, request.path)
            return problem(ApiError(499, "client_gone", "the client went away"))
        log.exception("%s %s failed", request.method, request.path)
        return problem(ApiError(500, "internal", "something went wrong here; the log of the API says what"))


@web.middleware
async def measure(request: web.Request, handler: Next) -> web.StreamResponse:
    """Count and log the answer. A stream counts when it ends, and has no place in the histogram."""
    started = time.monotonic()
    status = 499  # the client went away, or the server is going
    try:
        response = await handler(request)
        status = response.status
    finally:
        taken_s = time.monotonic() - started
        resource = request.match_info.route.resource
        route = resource.canonical.removeprefix("/api") if resource is not None else "unknown"
        method = request.method if request.method in METHODS else "other"
        instruments = request.app[INSTRUMENTS]
        instruments.requests.labels(method, route, str(status)).inc()
        if not route.endswith(("/events", "/speak_audio_stream")):
            instruments.request_seconds.labels(route).observe(taken_s)
        level = logging.DEBUG if request.path.endswith(QUIET) else logging.INFO
        log.log(level, "%s %s %d %.1f ms", request.method, request.path, status, taken_s * 1000)
    return response


@web.middleware
async def preflight(request: web.Request, handler: Next) -> web.StreamResponse:
    """Answer the question a browser asks before a cross-origin call."""
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return await handler(request)
    headers = {}
    if allowed_origin(request):
        headers = {
            "Access-Control-Allow-Methods": "GET, POST, DELETE",
            "Access-Control-Allow-Headers": "Content-Type, Last-Event-ID",
            "Access-Control-Max-Age": str(PREFLIGHT_S),
        }
    return web.Response(status=204, headers=headers)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal of the application: runs before the headers of any response go out, streams included."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if "Origin" in request.headers:
        response.headers["Vary"] = "Origin"
    if origin := allowed_origin(request):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "Retry-After"


def allowed_origin(request: web.Request) -> str | None:
    """The origin to allow, from the settings; `*` allows any."""
    origin = request.headers.get("Origin")
    allowed = {text.strip().rstrip("/") for text in request.app[SETTINGS].cors_origins.split(",")} - {""}
    return origin if origin and ("*" in allowed or origin in allowed) else None


def is_gone(request: web.Request) -> bool:
    """Has the client hung up?"""
    return request.transport is None or request.transport.is_closing()

"""The page: files that lie beside this code, in a checkout and in a wheel alike."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from api.errors import ApiError
from api.route import Route

STATIC = Path(__file__).parent.parent / "static"
REVALIDATE = {"Cache-Control": "no-cache"}  # ask every time, answered 304 while nothing changed


async def page(request: web.Request) -> web.FileResponse:
    return _file("index.html")


async def static(request: web.Request) -> web.FileResponse:
    return _file(request.match_info["path"])


def _file(name: str) -> web.FileResponse:
    """A file inside STATIC. Raises 404 for anything else, links that lead out included."""
    path = (STATIC / name).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        raise ApiError(404, "not_found", f"no file {name!r}")
    return web.FileResponse(path, headers=REVALIDATE)


ROUTES = (
    Route("GET", "/", page, "The page", answer_type="text/html", errors=(404,)),
    Route("GET", "/static/{path:.+}", static, "What the page loads", answer_type="*/*", errors=(404,)),
)

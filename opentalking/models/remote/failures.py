"""What went wrong with a server, in a sentence that a person can use and that tells no secret."""

from __future__ import annotations

import logging

import aiohttp

from opentalking.models.remote.endpoint import Endpoint
from opentalking.models.remote.wire import MAX_MESSAGE_BYTES, RemoteRefusal, WireError

_log = logging.getLogger(__name__)


class Broken(Exception):
    """The connection cannot go on; the message says why."""


def sentence_of(error: Exception, endpoint: Endpoint) -> str:
    """Never a header, nor what may be secret in an address. What nobody foresaw is logged whole."""
    where = endpoint.shown
    if isinstance(error, RemoteRefusal):
        return f"{where} refused: {error}"
    if isinstance(error, WireError | Broken):
        return f"{where}: {error}"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        hint = "; is the key right?" if error.status in (401, 403) else ""
        return f"{where} answered HTTP {error.status}{hint}"
    if not isinstance(error, OSError | aiohttp.ClientError):
        _log.error("unforeseen, while talking to %s", where, exc_info=error)
    return f"{where} cannot be reached: {type(error).__name__}"


def ending_of(socket: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage | None) -> str:
    """How a connection ended; `message` is what came in place of what was expected, if anything."""
    if message is not None and message.type is aiohttp.WSMsgType.BINARY:
        return "pictures"
    if socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
        return f"the server sent more than {MAX_MESSAGE_BYTES // 1_000_000} MB at once"
    if socket.exception() is not None or socket.close_code in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE):
        return "the connection broke"
    return f"the server closed the connection (code {socket.close_code})"

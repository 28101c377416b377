"""Addresses in settings: whether one can be used, and what of it may be shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_HTTP = ("http", "https")
_WEBSOCKET = ("ws", "wss")
SCHEMES: dict[str, tuple[str, ...]] = {  # setting -> how its address may begin
    "redis_url": ("redis", "rediss", "unix"),
    "llm_base_url": _HTTP,
    "tts_openai_base_url": _HTTP,
    "tts_elevenlabs_base_url": _HTTP,
    "tts_dashscope_service_url": _WEBSOCKET,
    "stt_base_url": _HTTP,
    "dashscope_base_url": _WEBSOCKET,
    "otlp_endpoint": _HTTP,
    "omnirt_endpoint": (*_HTTP, *_WEBSOCKET),
    "flashtalk_ws_url": (*_WEBSOCKET, *_HTTP),
    "flashhead_ws_url": (*_WEBSOCKET, *_HTTP),
}
_ICE = re.compile(r"(stun|turn)s?:(\*\*\*@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d+)?(\?transport=\w+)?")


def complaint(address: str, schemes: tuple[str, ...]) -> str:
    """Why this is no address that begins with one of `schemes`; empty if it is one."""
    if re.search(r"\s", address):  # urlsplit leaves line breaks out without a word
        return "it holds a space"
    try:
        parts = urlsplit(address)
        if parts.scheme not in schemes:
            return f"it does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
        if parts.scheme == "unix":
            return "" if parts.path else "it names no file"
        if not parts.hostname:
            return "it names no host"
    except ValueError as error:
        return f"its host is not one: {error}"
    try:
        usable = parts.port != 0
    except ValueError:
        usable = False
    if "@" in parts.netloc.rpartition("@")[0] or ("@" in parts.path and not usable):
        return "in a user or password, write / as %2F and @ as %40"
    return "" if usable else "its port is not a number from 1 to 65535"


def shown(address: str) -> str:
    """Without user, password, query and fragment, even where it is written wrongly; `***` stands for them."""
    scheme, separator, rest = address.partition("://") if "://" in address else ("", "", address)
    login, at, place = rest.rpartition("@")
    if re.search("[?#]", login):  # of a password, or of a query that holds an @: who knows
        return f"{scheme}{separator}***"
    bare = re.split("[?#]", place, maxsplit=1)[0]
    return f"{scheme}{separator}{'***@' * bool(at)}{bare}{'?***' * (bare != place)}"


def ice_shown(servers: str) -> str:
    """The same of a comma-separated list of STUN and TURN servers: `turn:user:password@host` → `turn:***@host`."""
    found = []
    for entry in filter(None, (part.strip() for part in servers.split(","))):
        scheme, _, rest = entry.partition(":")
        login, at, place = rest.rpartition("@")
        seen = f"{scheme}:{'***@' * bool(at)}{place}"
        found.append(seen if _ICE.fullmatch(seen) and (not at or ":" in login) else "***")
    return ",".join(found)

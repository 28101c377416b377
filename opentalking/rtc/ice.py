"""ICE settings: server URLs and port range as they are written in OPENTALKING_ICE_SERVERS and _ICE_PORT_RANGE."""

from __future__ import annotations

from aiortc import RTCIceServer

_SCHEMES = ("stun:", "stuns:", "turn:", "turns:")


def parse_ice_servers(text: str) -> list[RTCIceServer]:
    """`stun:host:port,turn:user:password@host:port` → servers. Raises ValueError naming the entry."""
    servers = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        if not entry.startswith(_SCHEMES):
            shown = "…@" + entry.rpartition("@")[2] if "@" in entry else entry  # before the @ may be a password
            raise ValueError(f"ICE server {shown!r} does not begin with one of {', '.join(_SCHEMES)}")
        scheme, _, rest = entry.partition(":")
        login, at, host = rest.rpartition("@")
        if not at:
            servers.append(RTCIceServer(urls=entry))
            continue
        user, colon, password = login.partition(":")
        if not (user and colon and password and host):
            raise ValueError(f"ICE server {scheme}:…@{host} needs user:password@host")
        servers.append(RTCIceServer(urls=f"{scheme}:{host}", username=user, credential=password))
    return servers


def parse_port_range(text: str) -> tuple[int, int] | None:
    """`40000-40100` → (40000, 40100); empty → None. Raises ValueError."""
    if not text.strip():
        return None
    low, dash, high = text.partition("-")
    try:
        ports = int(low), int(high if dash else low)
    except ValueError:
        raise ValueError(f"port range {text!r} is not LOW-HIGH") from None
    if not 1 <= ports[0] <= ports[1] <= 65_535:
        raise ValueError(f"port range {text!r} must lie within 1-65535, low first")
    return ports

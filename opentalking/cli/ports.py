"""Finding a TCP port: the one that was asked for, the first free one of a row, or any."""

from __future__ import annotations

import socket

_ROW = 100  # ports tried from the first one on


class PortBusy(Exception):
    """Somebody else listens on a port that the settings name; the message names the setting."""


def is_free(host: str, port: int) -> bool:
    """Could a server listen here now? A port in TIME_WAIT counts as free, as servers set SO_REUSEADDR."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        return False
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def any_free(host: str = "127.0.0.1") -> int:
    """A port that the kernel gives; nobody holds it afterwards, so use it soon."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        port: int = probe.getsockname()[1]
        return port


def first_free(start: int, host: str = "127.0.0.1") -> int:
    """The first free port from `start` on, or any if the row is full."""
    return next((port for port in range(start, start + _ROW) if is_free(host, port)), 0) or any_free(host)


def wanted(setting: str, port: int, host: str = "127.0.0.1") -> int:
    """`port` itself if nobody has it. Raises PortBusy naming `setting`."""
    if is_free(host, port):
        return port
    raise PortBusy(
        f"{setting}={port}: {host}:{port} cannot be listened on, another program has it or the address is not "
        f"this machine's. Choose another, e.g. {setting}={first_free(port + 1)}, or stop the other program."
    )

"""What browsers are told about ICE servers."""

from __future__ import annotations

import msgspec
import pytest

from api.ice import ice_servers
from opentalking.config import Settings


def test_servers_are_told_as_a_browser_takes_them() -> None:
    servers = ice_servers(Settings(ice_servers="stun:s.test:3478, turn:u:p@t.test:3478"))
    assert msgspec.to_builtins(servers) == [
        {"urls": "stun:s.test:3478"},
        {"urls": "turn:t.test:3478", "username": "u", "credential": "p"},
    ]
    assert ice_servers(Settings()) == []


def test_a_server_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="ICE server 'http://x' does not begin with"):
        ice_servers(Settings(ice_servers="http://x"))

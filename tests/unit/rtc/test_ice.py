"""ICE settings as people write them, and what they are told when they write them wrongly."""

from __future__ import annotations

import pytest

from opentalking.rtc.ice import parse_ice_servers, parse_port_range


def test_servers_are_parsed_with_and_without_a_login() -> None:
    stun, turn, secure = parse_ice_servers("stun:a.test:3478, turn:me:secret@b.test:3478 ,turns:me:a:b@c@d.test:443")
    assert (stun.urls, stun.username, stun.credential) == ("stun:a.test:3478", None, None)
    assert (turn.urls, turn.username, turn.credential) == ("turn:b.test:3478", "me", "secret")
    assert (secure.urls, secure.username, secure.credential) == ("turns:d.test:443", "me", "a:b@c")


@pytest.mark.parametrize("text", ["", " ", ",", " , ,"])
def test_nothing_written_is_no_server(text: str) -> None:
    assert parse_ice_servers(text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.test:3478", "ICE server 'a.test:3478' does not begin with one of stun:, stuns:, turn:, turns:"),
        ("http://x", "ICE server 'http://x' does not begin with one of stun:, stuns:, turn:, turns:"),
        ("me:hush@b.test", "ICE server '…@b.test' does not begin with one of stun:, stuns:, turn:, turns:"),
        ("TURN:me:hush@b.test", "ICE server '…@b.test' does not begin with one of stun:, stuns:, turn:, turns:"),
        ("turn:me:hu,hush@b.test", "ICE server '…@b.test' does not begin with one of stun:, stuns:, turn:, turns:"),
        ("turn:me@b.test", "ICE server turn:…@b.test needs user:password@host"),
        ("turn::hush@b.test", "ICE server turn:…@b.test needs user:password@host"),
        ("turn:me:@b.test", "ICE server turn:…@b.test needs user:password@host"),
        ("turn:me:hush@", "ICE server turn:…@ needs user:password@host"),
    ],
)
def test_a_wrong_entry_is_named_without_its_password(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_ice_servers("stun:fine.test," + text)
    assert str(caught.value) == message
    assert "hush" not in message


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("", None),
        ("  ", None),
        ("40000-40100", (40000, 40100)),
        (" 5000 - 5001 ", (5000, 5001)),
        ("7000", (7000, 7000)),
    ],
)
def test_a_port_range_is_parsed(text: str, ports: tuple[int, int] | None) -> None:
    assert parse_port_range(text) == ports


@pytest.mark.parametrize("text", ["a-b", "40000-", "-40000", "1-2-3", "40000:40100"])
def test_what_is_not_a_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"port range '{text}' is not LOW-HIGH"):
        parse_port_range(text)


@pytest.mark.parametrize("text", ["0-5", "9-8", "40000-65536"])
def test_ports_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"port range '{text}' must lie within 1-65535, low first"):
        parse_port_range(text)

"""Addresses in settings: which are none, and what of them may be shown."""

from __future__ import annotations

import os

import msgspec
import pytest

from opentalking.addresses import SCHEMES, complaint, ice_shown, shown
from opentalking.config import Settings, SettingsError, env_name, load_settings

SCHEME = "it does not begin with http:// or https://"
PORT = "its port is not a number from 1 to 65535"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://localhost:11434/v1", ""),
        ("HTTPS://api.openai.com/v1", ""),
        ("http://[::1]:8000/v1", ""),
        ("http://user:pa%2Fss@host/v1?key=1", ""),
        ("http://host/v1/@me", ""),
        ("localhost:11434/v1", SCHEME),
        ("api.openai.com/v1", SCHEME),
        ("ws://host", SCHEME),
        ("http:/host/v1", "it names no host"),
        ("http://:8000/v1", "it names no host"),
        ("http:///v1", "it names no host"),
        ("http://h:abc/v1", PORT),
        ("http://h:0/v1", PORT),
        ("http://h:65536/v1", PORT),
        ("http://[::1/v1", "its host is not one: Invalid IPv6 URL"),
        ("http://my host/v1", "it holds a space"),
        ("http://host/v1\nX", "it holds a space"),
        ("http://user:pa/ss@host/v1", "in a user or password, write / as %2F and @ as %40"),
        ("http://user:p@ss@host/v1", "in a user or password, write / as %2F and @ as %40"),
    ],
)
def test_an_address_that_cannot_be_one_is_told_with_the_reason(address: str, told: str) -> None:
    assert complaint(address, ("http", "https")) == told


@pytest.mark.parametrize("field", SCHEMES)
def test_every_address_is_looked_at_when_settings_are_read_and_its_secrets_are_not_told(field: str) -> None:
    scheme = SCHEMES[field][0]
    with pytest.raises(SettingsError) as caught:
        load_settings({"OPENTALKING_ENV_FILE": os.devnull, env_name(field): f"{scheme}://u:secret@h:abc/v1?key=secret"})
    assert str(caught.value) == f"{env_name(field)}='{scheme}://***@h:abc/v1?***': {PORT}"
    good = {"OPENTALKING_ENV_FILE": os.devnull, env_name(field): f"{scheme}://host:80/v1"}
    assert getattr(load_settings(good), field) == f"{scheme}://host:80/v1"


def test_every_setting_that_is_an_address_by_its_name_is_looked_at() -> None:
    fields = [field.name for field in msgspec.structs.fields(Settings)]
    assert [name for name in fields if name.endswith(("_url", "_endpoint"))] == list(SCHEMES)


def test_an_address_under_another_of_its_names_is_told_by_that() -> None:
    with pytest.raises(SettingsError, match=r"^OPENTALKING_STT_OPENAI_BASE_URL='host/v1': "):
        load_settings({"OPENTALKING_ENV_FILE": os.devnull, "OPENTALKING_STT_OPENAI_BASE_URL": "host/v1"})


def test_a_redis_may_be_a_socket() -> None:
    assert complaint("unix:///run/redis.sock?db=1", SCHEMES["redis_url"]) == ""
    assert complaint("unix://", SCHEMES["redis_url"]) == "it names no file"


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("redis://:pass@db:6379/0", "redis://***@db:6379/0"),
        ("https://sk-token@host/v1", "https://***@host/v1"),
        ("https://user:pa/ss@host/v1", "https://***@host/v1"),
        ("https://user:pa:s@s@host/v1", "https://***@host/v1"),
        ("https://host/v1?api_key=sk-1#sk-2", "https://host/v1?***"),
        ("https://user:pa?ss@host/v1", "https://***"),
        ("https://host/v1?mail=me@home&key=sk-1", "https://***"),
        ("https://host/v1#sk-1", "https://host/v1?***"),
        ("user:sk-1@host", "***@host"),
        ("", ""),
    ],
)
def test_of_an_address_nothing_is_shown_that_may_be_secret(address: str, seen: str) -> None:
    assert shown(address) == seen


@pytest.mark.parametrize(
    ("servers", "seen"),
    [
        ("stun:one:3478, turn:me:pa/ss@two:3478", "stun:one:3478,turn:***@two:3478"),
        ("turn:me:p@ss:word@two", "turn:***@two"),
        ("turns:me:pass@two:443?transport=tcp", "turns:***@two:443?transport=tcp"),
        ("turn:me:pa,ss@two", "***,***"),
        ("turn:me:pass", "***"),
        ("", ""),
    ],
)
def test_of_turn_servers_only_where_they_are_is_shown(servers: str, seen: str) -> None:
    assert ice_shown(servers) == seen

"""How a schema's complaint reads to a person."""

from __future__ import annotations

import msgspec
import pytest

from api.errors import name_the_field, wrong_body


class Inner(msgspec.Struct):
    b: int


class Outer(msgspec.Struct):
    a: Inner


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("Expected `str`, got `int` - at `$.text`", "text: Expected `str`, got `int`"),
        ("Expected `str`, got `int` - at `$.a.b[0]`", "a.b[0]: Expected `str`, got `int`"),
        ("Expected `str`, got `int` - at `$[0]`", "[0]: Expected `str`, got `int`"),
        ("Object missing required field `text`", "text: required"),
        ("Object missing required field `b` - at `$.a`", "a.b: required"),
        ("Expected `object`, got `array`", "body: Expected `object`, got `array`"),
    ],
)
def test_the_field_comes_first(message: str, detail: str) -> None:
    assert name_the_field(message) == detail


def test_the_messages_are_those_that_msgspec_gives() -> None:
    for raw, detail in ((b'{"a":{}}', "a.b: required"), (b'{"a":{"b":"x"}}', "a.b: Expected `int`, got `str`")):
        with pytest.raises(msgspec.ValidationError) as caught:
            msgspec.json.decode(raw, type=Outer)
        error = wrong_body(caught.value)
        assert (error.status, error.code, error.detail) == (422, "invalid_field", detail)

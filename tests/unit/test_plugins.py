"""Adapters from a setting: `name=module:Class`, comma-separated."""

from __future__ import annotations

import fractions

import pytest

from opentalking.config import Settings
from opentalking.plugins import PluginError, load_class, with_plugins

PACKAGED = {"one": "a:One", "two": "b:Two"}


def test_plugins_come_after_the_packaged_and_may_replace_them() -> None:
    settings = Settings(model_plugins=" mine=m:Mine , one=c:One, other=d.e:Other ,")
    assert with_plugins(PACKAGED, settings, "model_plugins") == {
        "one": "c:One",
        "two": "b:Two",
        "mine": "m:Mine",
        "other": "d.e:Other",
    }
    assert with_plugins(PACKAGED, settings, "tts_plugins") == PACKAGED


@pytest.mark.parametrize("entry", ["mine", "mine=", "mine=m", "mine=:Mine", "mine=m:", "=m:Mine"])
def test_an_entry_written_wrongly_is_named_with_its_setting(entry: str) -> None:
    with pytest.raises(PluginError, match=f"OPENTALKING_MODEL_PLUGINS: {entry!r} is not name=module:Class"):
        with_plugins(PACKAGED, Settings(model_plugins=f"good=m:Good,{entry}"), "model_plugins")


def test_a_class_is_loaded_by_its_target() -> None:
    assert load_class("fractions:Fraction") is fractions.Fraction


@pytest.mark.parametrize(
    ("target", "why"), [("no_such_module:A", "No module named 'no_such_module'"), ("fractions:A", "no attribute 'A'")]
)
def test_what_cannot_be_imported_is_named_with_the_reason(target: str, why: str) -> None:
    with pytest.raises(PluginError, match=f"{target} cannot be imported: .*{why}"):
        load_class(target)

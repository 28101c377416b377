"""Adapters from a setting: `name=module:Class`, comma-separated."""

from __future__ import annotations

import fractions
from pathlib import Path

import pytest

from opentalking.config import Settings
from opentalking.plugins import Engines, PluginError, load_class, with_plugins

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


class Broken:
    """Somebody's engine that is not finished; `missing` is not there."""


class Raising:
    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        raise ValueError("the key sk-1 is too short")


class Good:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        return None


def test_one_broken_plug_in_hides_no_other_and_its_words_are_not_told() -> None:
    packaged = {"broken": f"{__name__}:Broken", "raising": f"{__name__}:Raising", "good": f"{__name__}:Good"}
    engines: Engines[Good] = Engines("engine", packaged, "tts_plugins", RuntimeError)
    assert engines.reasons(Settings()) == {
        "broken": f"{__name__}:Broken has no classmethod missing(settings)",
        "raising": "it failed with ValueError",
        "good": None,
    }
    assert engines.pick("broken", Settings()) == "good"
    with pytest.raises(RuntimeError, match="has no classmethod missing"):
        engines.create("broken", Settings())


def test_a_module_that_raises_anything_is_one_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_written.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match="half_written:F cannot be imported: invalid syntax"):
        load_class("half_written:F")

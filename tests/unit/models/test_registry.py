"""Models by name."""

from __future__ import annotations

import pytest

from opentalking.config import Settings
from opentalking.models.adapter import ModelError
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.registry import create_adapter, list_models


def test_a_plugin_is_a_model_like_the_packaged_ones() -> None:
    settings = Settings(model_plugins="another=opentalking.models.portrait.adapter:PortraitAdapter")
    assert {"another", "portrait"} < set(list_models(settings))
    assert isinstance(create_adapter("another", settings), PortraitAdapter)


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'wax'; known: .*portrait"):
        create_adapter("wax", Settings())


def test_a_plugin_written_wrongly_is_named() -> None:
    with pytest.raises(ModelError, match="OPENTALKING_MODEL_PLUGINS: 'wax' is not name=module:Class"):
        list_models(Settings(model_plugins="wax"))


def test_a_plugin_that_cannot_be_imported_is_named_when_it_is_asked_for() -> None:
    settings = Settings(model_plugins="wax=no_such_module:Wax")
    assert "wax" in list_models(settings)
    with pytest.raises(ModelError, match="no_such_module:Wax cannot be imported"):
        create_adapter("wax", settings)

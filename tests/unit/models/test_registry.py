"""Models by name."""

from __future__ import annotations

import pytest

from opentalking.config import Settings
from opentalking.models.adapter import ModelError
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.registry import create_adapter, list_models, model_backend

PACKAGED = ["flashhead", "flashtalk", "musetalk", "portrait", "quicktalk", "wav2lip"]


def test_a_plugin_is_a_model_like_the_packaged_ones() -> None:
    settings = Settings(model_plugins="another=opentalking.models.portrait.adapter:PortraitAdapter")
    assert list_models(settings) == ["another", *PACKAGED]
    assert isinstance(create_adapter("another", settings), PortraitAdapter)


def test_an_unknown_model_is_named_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=f"unknown model 'wax'; known: {', '.join(PACKAGED)}"):
        create_adapter("wax", Settings())


def test_a_plugin_written_wrongly_is_named() -> None:
    with pytest.raises(ModelError, match="OPENTALKING_MODEL_PLUGINS: 'wax' is not name=module:Class"):
        list_models(Settings(model_plugins="wax"))


def test_a_plugin_that_cannot_be_imported_is_named_when_it_is_asked_for() -> None:
    settings = Settings(model_plugins="wax=no_such_module:Wax")
    assert list_models(settings) == sorted([*PACKAGED, "wax"])
    with pytest.raises(ModelError, match="no_such_module:Wax cannot be imported"):
        create_adapter("wax", settings)


def test_a_model_runs_where_its_setting_says() -> None:
    settings = Settings(flashtalk_backend="direct_ws")
    assert [model_backend(name, settings) for name in ("flashtalk", "flashhead", "portrait")] == [
        "direct_ws",
        "direct_ws",
        "local",
    ]
    assert model_backend("flashtalk", Settings()) == "omnirt"
    with pytest.raises(ModelError, match="set OPENTALKING_FLASHTALK_WS_URL"):
        create_adapter("flashtalk", settings).load_model("cpu")

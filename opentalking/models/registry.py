"""Which faces exist: name -> module:class, imported only when asked for (a GPU model's imports are heavy)."""

from __future__ import annotations

from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter, ModelError
from opentalking.plugins import PluginError, load_class, with_plugins

_ADAPTERS = {
    "portrait": "opentalking.models.portrait.adapter:PortraitAdapter",
}


def list_models(settings: Settings) -> list[str]:
    """Names of all registered models, in a stable order. Raises ModelError if OPENTALKING_MODEL_PLUGINS is wrong."""
    return sorted(_targets(settings))


def create_adapter(name: str, settings: Settings) -> ModelAdapter:
    """A new, unloaded adapter. Raises ModelError for an unknown name, or one that cannot be imported."""
    targets = _targets(settings)
    if name not in targets:
        raise ModelError(f"unknown model {name!r}; known: {', '.join(sorted(targets))}")
    try:
        adapter: ModelAdapter = load_class(targets[name])()
    except PluginError as error:
        raise ModelError(str(error)) from error
    return adapter


def _targets(settings: Settings) -> dict[str, str]:
    """name -> module:class of the packaged models and of OPENTALKING_MODEL_PLUGINS."""
    try:
        return with_plugins(_ADAPTERS, settings, "model_plugins")
    except PluginError as error:
        raise ModelError(str(error)) from error

"""Which faces exist: name -> module:class, imported only when asked for (a GPU model's imports are heavy)."""

from __future__ import annotations

from importlib import import_module

from opentalking.models.adapter import ModelAdapter, ModelError

_ADAPTERS: dict[str, str] = {
    "portrait": "opentalking.models.portrait.adapter:PortraitAdapter",
}


def list_models() -> list[str]:
    """Names of all registered models, in a stable order."""
    return sorted(_ADAPTERS)


def create_adapter(name: str) -> ModelAdapter:
    """A new, unloaded adapter. Raises ModelError for an unknown name."""
    target = _ADAPTERS.get(name)
    if target is None:
        raise ModelError(f"unknown model {name!r}; known: {', '.join(list_models())}")
    module, _, attribute = target.partition(":")
    adapter: ModelAdapter = getattr(import_module(module), attribute)()
    return adapter

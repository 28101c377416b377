"""Which faces exist: name -> backend -> module:class, imported only when asked for (a GPU model's imports are heavy).

A backend is where a model runs: `local` in the inference process, `omnirt` or `direct_ws` on another machine. A model
that has several is given one by its setting, OPENTALKING_<MODEL>_BACKEND.
"""

from __future__ import annotations

from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter, ModelError
from opentalking.plugins import PluginError, load_class, with_plugins

_ADAPTERS: dict[str, dict[str, str]] = {
    "flashhead": {
        "direct_ws": "opentalking.models.remote.adapter:flashhead_direct",
        "omnirt": "opentalking.models.remote.adapter:flashhead_omnirt",
    },
    "flashtalk": {
        "direct_ws": "opentalking.models.remote.adapter:flashtalk_direct",
        "omnirt": "opentalking.models.remote.adapter:flashtalk_omnirt",
    },
    "musetalk": {"omnirt": "opentalking.models.remote.adapter:musetalk_omnirt"},
    "portrait": {"local": "opentalking.models.portrait.adapter:PortraitAdapter"},
    "quicktalk": {"local": "opentalking.models.quicktalk.adapter:QuickTalkAdapter"},
    "wav2lip": {
        "local": "opentalking.models.wav2lip.adapter:Wav2LipAdapter",
        "omnirt": "opentalking.models.remote.adapter:wav2lip_omnirt",
    },
}


def list_models(settings: Settings) -> list[str]:
    """Names of all registered models, in a stable order. Raises ModelError if OPENTALKING_MODEL_PLUGINS is wrong."""
    return sorted(_targets(settings))


def model_backend(name: str, settings: Settings) -> str:
    """Where this model runs: local, omnirt or direct_ws."""
    backends = _ADAPTERS.get(name, {"local": ""})
    return next(iter(backends)) if len(backends) == 1 else str(getattr(settings, f"{name}_backend"))


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
    packaged = {name: backends[model_backend(name, settings)] for name, backends in _ADAPTERS.items()}
    try:
        return with_plugins(packaged, settings, "model_plugins")
    except PluginError as error:
        raise ModelError(str(error)) from error

"""Recognisers by name. A module is imported when its engine is asked for, so that a missing one costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentalking.config import Settings
from opentalking.plugins import PluginError, load_class, named, with_plugins
from opentalking.stt.base import STTAdapter, STTError

NONE = "none"  # of OPENTALKING_STT_PROVIDER: nothing is loaded until a session names an engine
_ADAPTERS = {  # name -> module:class, in order of preference
    "whisper": "opentalking.stt.adapters.whisper:WhisperSTT",
    "openai_compatible": "opentalking.stt.adapters.openai_compatible:OpenAICompatibleSTT",
    "dashscope": "opentalking.stt.adapters.dashscope:DashScopeSTT",
}


def list_stt(settings: Settings) -> list[str]:
    """Names of all engines, whether they can be used here or not."""
    return list(_targets(settings))


def create_stt(name: str, settings: Settings) -> STTAdapter:
    """A new adapter, not yet warmed. Raises STTError for an unknown name, or with what is missing."""
    adapter = _adapter_class(name, settings)
    if reason := adapter.missing(settings):
        raise STTError(f"{name}: {reason}")
    return adapter(settings)


def available(settings: Settings) -> dict[str, str | None]:
    """Every engine with the reason why it cannot be used here, None when it can."""
    return {name: _reason(name, settings) for name in _targets(settings)}


def pick_stt(settings: Settings) -> str:
    """The configured engine if it can be used, else the first that can; empty if none is wanted.

    Raises STTError when none can be used.
    """
    if settings.stt_provider == NONE:
        return ""
    reasons = available(settings)
    _adapter_class(settings.stt_provider, settings)  # a misspelt name is not silently replaced
    for name in (settings.stt_provider, *reasons):
        if reasons[name] is None:
            return name
    raise STTError("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))


class _AdapterClass(Protocol):
    """What a module of adapters offers: the class, and whether it can work here."""

    def __call__(self, settings: Settings) -> STTAdapter: ...

    def missing(self, settings: Settings) -> str | None: ...


def _targets(settings: Settings) -> dict[str, str]:
    """name -> module:class of the packaged engines and of OPENTALKING_STT_PLUGINS."""
    try:
        return with_plugins(_ADAPTERS, settings, "stt_plugins")
    except PluginError as error:
        raise STTError(str(error)) from error


def _reason(name: str, settings: Settings) -> str | None:
    try:
        return _adapter_class(name, settings).missing(settings)
    except STTError as error:  # a plug-in that cannot be imported
        return str(error)
    except Exception as error:
        return f"it cannot say whether it works here: {named(error)}"


def _adapter_class(name: str, settings: Settings) -> _AdapterClass:
    targets = _targets(settings)
    if name not in targets:
        raise STTError(f"there is no recogniser {name!r}; there are {', '.join(targets)}")
    try:
        adapter: _AdapterClass = load_class(targets[name])
    except PluginError as error:
        raise STTError(str(error)) from error
    return adapter


if TYPE_CHECKING:  # every adapter is checked against the seam
    from opentalking.stt.adapters.dashscope import DashScopeSTT
    from opentalking.stt.adapters.openai_compatible import OpenAICompatibleSTT
    from opentalking.stt.adapters.whisper import WhisperSTT

    _checked: tuple[_AdapterClass, ...] = (WhisperSTT, OpenAICompatibleSTT, DashScopeSTT)

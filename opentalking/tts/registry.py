"""Voice engines by name. A module is imported when its engine is asked for, so that a missing one costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from opentalking.config import Settings
from opentalking.plugins import PluginError, load_class, named, with_plugins
from opentalking.tts.base import TTSAdapter, TTSError

_ADAPTERS = {  # name -> module:class, in order of preference
    "piper": "opentalking.tts.adapters.piper:PiperTTS",
    "espeak": "opentalking.tts.adapters.espeak:EspeakTTS",
    "edge": "opentalking.tts.adapters.edge:EdgeTTS",
    "openai_compatible": "opentalking.tts.adapters.openai_compatible:OpenAICompatibleTTS",
    "elevenlabs": "opentalking.tts.adapters.elevenlabs:ElevenLabsTTS",
    "dashscope": "opentalking.tts.adapters.dashscope:DashScopeTTS",
    "cosyvoice": "opentalking.tts.adapters.cosyvoice:CosyVoiceTTS",
    "sambert": "opentalking.tts.adapters.sambert:SambertTTS",
}


def list_tts(settings: Settings) -> list[str]:
    """Names of all engines, whether they can be used here or not."""
    return list(_targets(settings))


def create_tts(name: str, settings: Settings) -> TTSAdapter:
    """A new adapter, not yet warmed. Raises TTSError for an unknown name, or with what is missing."""
    adapter = _adapter_class(name, settings)
    if reason := adapter.missing(settings):
        raise TTSError(f"{name}: {reason}")
    return adapter(settings)


def available(settings: Settings) -> dict[str, str | None]:
    """Every engine with the reason why it cannot be used here, None when it can."""
    return {name: _reason(name, settings) for name in _targets(settings)}


def pick_tts(settings: Settings) -> str:
    """The configured engine if it can be used, else the first that can. Raises TTSError when none can."""
    reasons = available(settings)
    _adapter_class(settings.tts_provider, settings)  # a misspelt name is not silently replaced
    for name in (settings.tts_provider, *reasons):
        if reasons[name] is None:
            return name
    raise TTSError("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))


class _AdapterClass(Protocol):
    """What a module of adapters offers: the class, and whether it can work here."""

    def __call__(self, settings: Settings) -> TTSAdapter: ...

    def missing(self, settings: Settings) -> str | None: ...


def _targets(settings: Settings) -> dict[str, str]:
    """name -> module:class of the packaged engines and of OPENTALKING_TTS_PLUGINS."""
    try:
        return with_plugins(_ADAPTERS, settings, "tts_plugins")
    except PluginError as error:
        raise TTSError(str(error)) from error


def _reason(name: str, settings: Settings) -> str | None:
    try:
        return _adapter_class(name, settings).missing(settings)
    except TTSError as error:  # a plug-in that cannot be imported
        return str(error)
    except Exception as error:
        return f"it cannot say whether it works here: {named(error)}"


def _adapter_class(name: str, settings: Settings) -> _AdapterClass:
    targets = _targets(settings)
    if name not in targets:
        raise TTSError(f"there is no voice engine {name!r}; there are {', '.join(targets)}")
    try:
        adapter: _AdapterClass = load_class(targets[name])
    except PluginError as error:
        raise TTSError(str(error)) from error
    return adapter


if TYPE_CHECKING:  # every adapter is checked against the seam
    from opentalking.tts.adapters.cosyvoice import CosyVoiceTTS
    from opentalking.tts.adapters.dashscope import DashScopeTTS
    from opentalking.tts.adapters.edge import EdgeTTS
    from opentalking.tts.adapters.elevenlabs import ElevenLabsTTS
    from opentalking.tts.adapters.espeak import EspeakTTS
    from opentalking.tts.adapters.openai_compatible import OpenAICompatibleTTS
    from opentalking.tts.adapters.piper import PiperTTS
    from opentalking.tts.adapters.sambert import SambertTTS

    _offline: tuple[_AdapterClass, ...] = (PiperTTS, EspeakTTS)
    _keyless: tuple[_AdapterClass, ...] = (EdgeTTS, OpenAICompatibleTTS)
    _keyed: tuple[_AdapterClass, ...] = (ElevenLabsTTS, DashScopeTTS, CosyVoiceTTS, SambertTTS)

"""Voice engines by name. A module is imported when its engine is asked for, so that a missing one costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentalking.config import Settings
from opentalking.plugins import EngineClass, Engines
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
_ENGINES: Engines[TTSAdapter] = Engines("voice engine", _ADAPTERS, "tts_plugins", TTSError)
list_tts, create_tts, available = _ENGINES.names, _ENGINES.create, _ENGINES.reasons


def pick_tts(settings: Settings) -> str:
    """The configured engine if it can be used, else the first that can. Raises TTSError when none can."""
    return _ENGINES.pick(settings.tts_provider, settings)


if TYPE_CHECKING:  # every adapter is checked against the seam
    from opentalking.tts.adapters.cosyvoice import CosyVoiceTTS
    from opentalking.tts.adapters.dashscope import DashScopeTTS
    from opentalking.tts.adapters.edge import EdgeTTS
    from opentalking.tts.adapters.elevenlabs import ElevenLabsTTS
    from opentalking.tts.adapters.espeak import EspeakTTS
    from opentalking.tts.adapters.openai_compatible import OpenAICompatibleTTS
    from opentalking.tts.adapters.piper import PiperTTS
    from opentalking.tts.adapters.sambert import SambertTTS

    _offline: tuple[EngineClass[TTSAdapter], ...] = (PiperTTS, EspeakTTS)
    _keyless: tuple[EngineClass[TTSAdapter], ...] = (EdgeTTS, OpenAICompatibleTTS)
    _keyed: tuple[EngineClass[TTSAdapter], ...] = (ElevenLabsTTS, DashScopeTTS, CosyVoiceTTS, SambertTTS)

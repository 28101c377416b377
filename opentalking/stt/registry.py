"""Recognisers by name. A module is imported when its engine is asked for, so that a missing one costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentalking.config import Settings
from opentalking.plugins import EngineClass, Engines
from opentalking.stt.base import STTAdapter, STTError

NONE = "none"  # of OPENTALKING_STT_PROVIDER: nothing is loaded until a session names an engine
_ADAPTERS = {  # name -> module:class, in order of preference
    "whisper": "opentalking.stt.adapters.whisper:WhisperSTT",
    "openai_compatible": "opentalking.stt.adapters.openai_compatible:OpenAICompatibleSTT",
    "dashscope": "opentalking.stt.adapters.dashscope:DashScopeSTT",
}
_ENGINES: Engines[STTAdapter] = Engines("recogniser", _ADAPTERS, "stt_plugins", STTError)
list_stt, create_stt, available = _ENGINES.names, _ENGINES.create, _ENGINES.reasons


def pick_stt(settings: Settings) -> str:
    """The configured engine if it can be used, else the first that can; empty if none is wanted.

    Raises STTError when none can be used.
    """
    return "" if settings.stt_provider == NONE else _ENGINES.pick(settings.stt_provider, settings)


if TYPE_CHECKING:  # every adapter is checked against the seam
    from opentalking.stt.adapters.dashscope import DashScopeSTT
    from opentalking.stt.adapters.openai_compatible import OpenAICompatibleSTT
    from opentalking.stt.adapters.whisper import WhisperSTT

    _checked: tuple[EngineClass[STTAdapter], ...] = (WhisperSTT, OpenAICompatibleSTT, DashScopeSTT)

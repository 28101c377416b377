"""Whether the services that the settings name can be reached, and take their keys: for `opentalking doctor`.

A service that does not answer stops no start: turns that want it fail, or another voice speaks. So nothing here is a
failure, and nothing costs money: a list of models, or of an account's own data, is asked for, or a connection opened.
"""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from opentalking.cli.check import Check
from opentalking.config import Settings
from opentalking.tts.policy import OFFLINE
from opentalking.tts.registry import available

_TIMEOUT_S = 5.0
_DASHSCOPE = "wss://dashscope.aliyuncs.com"
_EDGE = "wss://speech.platform.bing.com"


def services(settings: Settings) -> list[Check]:
    """The language model and the voices elsewhere that turns may use."""
    found = [language_model(settings)]
    reasons = available(settings)
    for name in _wanted_voices(settings):
        if name not in reasons:
            found.append(Check(f"voice {name}", "fail", "there is no such engine", f"known: {', '.join(reasons)}"))
        elif (reason := reasons[name]) is not None:
            found.append(Check(f"voice {name}", "warn", reason, "or leave it out of OPENTALKING_TTS_FALLBACK"))
        else:
            found.append(voice(name, settings))
    return found


def language_model(settings: Settings) -> Check:
    if not settings.llm_base_url:
        return Check("llm", "ok", "embedded toy model; OPENTALKING_LLM_BASE_URL plugs in a real one")
    url = settings.llm_base_url.rstrip("/") + "/models"
    return _answers("llm", url, {"Authorization": f"Bearer {settings.llm_api_key}"}, "OPENTALKING_LLM")


def voice(name: str, settings: Settings) -> Check:
    """One voice elsewhere whose settings are there."""
    shown = f"voice {name}"
    if name == "elevenlabs":
        url = settings.tts_elevenlabs_base_url.rstrip("/") + "/v1/user"
        return _answers(shown, url, {"xi-api-key": settings.tts_elevenlabs_api_key}, "OPENTALKING_TTS_ELEVENLABS")
    if name == "openai_compatible":
        url = settings.tts_openai_base_url.rstrip("/") + "/models"
        key = {"Authorization": f"Bearer {settings.tts_openai_api_key}"}
        return _answers(shown, url, key, "OPENTALKING_TTS_OPENAI")
    address = {
        "edge": _EDGE,
        "dashscope": settings.tts_dashscope_service_url or _DASHSCOPE,
        "cosyvoice": settings.dashscope_base_url or _DASHSCOPE,
        "sambert": settings.dashscope_base_url or _DASHSCOPE,
    }.get(name)
    return Check(shown, "ok", "a plug-in; it looks after itself") if address is None else _connects(shown, address)


def _wanted_voices(settings: Settings) -> list[str]:
    """Those elsewhere that speak by themselves, and those whose key was given, so that a turn may name them."""
    listed = (part.strip() for part in settings.tts_fallback.split(","))
    keyed = {"elevenlabs": settings.tts_elevenlabs_api_key, "openai_compatible": settings.tts_openai_base_url}
    keyed |= {"dashscope": settings.dashscope_api_key}
    names = [settings.tts_provider, *filter(None, listed), *(name for name, key in keyed.items() if key)]
    return [name for name in dict.fromkeys(names) if name not in OFFLINE]


def _answers(name: str, url: str, headers: dict[str, str], setting: str) -> Check:
    """Whether a GET is answered, and the key taken."""
    shown = _shown(url)
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as answer:
            return Check(name, "ok", f"{shown} answers ({answer.status})")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            return Check(name, "warn", f"{shown} refuses the key ({error.code})", f"correct {setting}_API_KEY")
        return Check(name, "ok", f"{shown} is there, though it does not list anything ({error.code})")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        return Check(name, "warn", f"{shown} does not answer: {why}", f"start it, or correct {setting}_BASE_URL")


def _connects(name: str, url: str) -> Check:
    """Whether a connection can be opened; the key is not tried."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        socket.create_connection((parts.hostname or "", port), _TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        return Check(name, "warn", f"{_shown(url)} cannot be reached: {error}", "check the network and the address")
    return Check(name, "ok", f"{_shown(url)} accepts connections; the key was not tried")


def _shown(url: str) -> str:
    """Without user, password and query."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

"""Whether the services that the settings name can be reached, and take their keys: for `opentalking doctor`.

A service that does not answer stops no start: turns that want it fail, or another voice speaks. So nothing here is a
failure, and nothing costs money: a list of models, or of an account's own data, is asked for, or a connection opened.
"""

from __future__ import annotations

import re
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2  # the client library of openai>=3

from opentalking.addresses import shown
from opentalking.cli.check import Check
from opentalking.config import Settings
from opentalking.tts.base import TTSError
from opentalking.tts.policy import OFFLINE
from opentalking.tts.registry import available

_TIMEOUT_S = 5.0
_DASHSCOPE = "wss://dashscope.aliyuncs.com"
_EDGE = "wss://speech.platform.bing.com"
_KEY = re.compile(r"[!-~]*")  # what a header can carry, and every service's keys are made of


class _Asked(NamedTuple):
    """A GET that costs nothing, the header that carries the key, and what its settings begin with."""

    url: str
    key: str
    setting: str
    header: str = "Authorization"

    @property
    def headers(self) -> dict[str, str]:
        bearer = "Bearer " * (self.header == "Authorization")
        return {self.header: f"{bearer}{self.key}"} if self.key else {}


def services(settings: Settings) -> list[Check]:
    """The language model and the voices elsewhere that turns may use."""
    found = [language_model(settings)]
    try:
        reasons = available(settings)
    except TTSError:
        return found  # before a start, the check of the voice tells it
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
    return _answers("llm", _Asked(url, settings.llm_api_key, "OPENTALKING_LLM"))


def voice(name: str, settings: Settings) -> Check:
    """One voice elsewhere whose settings are there."""
    label = f"voice {name}"
    if name == "elevenlabs":
        url = settings.tts_elevenlabs_base_url.rstrip("/") + "/v1/user"
        key = settings.tts_elevenlabs_api_key
        return _answers(label, _Asked(url, key, "OPENTALKING_TTS_ELEVENLABS", "xi-api-key"))
    if name == "openai_compatible":
        return _openai_compatible(label, settings)
    address = {
        "edge": _EDGE,
        "dashscope": settings.tts_dashscope_service_url or _DASHSCOPE,
        "cosyvoice": settings.dashscope_base_url or _DASHSCOPE,
        "sambert": settings.dashscope_base_url or _DASHSCOPE,
    }.get(name)
    return Check(label, "ok", "a plug-in; it looks after itself") if address is None else _connects(label, address)


def _openai_compatible(label: str, settings: Settings) -> Check:
    asked = _Asked(
        settings.tts_openai_base_url.rstrip("/") + "/models", settings.tts_openai_api_key, "OPENTALKING_TTS_OPENAI"
    )
    if asked.key and "@" in asked.url.partition("?")[0]:
        mend = f"leave one of them out of {asked.setting}_BASE_URL and {asked.setting}_API_KEY"
        return Check(label, "warn", f"{shown(asked.url)}: a user in the address and a key cannot both be sent", mend)
    return _answers(label, asked)


def _wanted_voices(settings: Settings) -> list[str]:
    """Those elsewhere that speak by themselves, and those whose key was given, so that a turn may name them."""
    listed = (part.strip() for part in settings.tts_fallback.split(","))
    keyed = {"elevenlabs": settings.tts_elevenlabs_api_key, "openai_compatible": settings.tts_openai_base_url}
    keyed |= {"dashscope": settings.dashscope_api_key}
    names = [settings.tts_provider, *filter(None, listed), *(name for name, key in keyed.items() if key)]
    return [name for name in dict.fromkeys(names) if name not in OFFLINE]


def _answers(name: str, asked: _Asked) -> Check:
    """Whether a GET is answered, and the key taken. It follows nobody elsewhere, and never shows the key."""
    place, address, key = shown(asked.url), f"{asked.setting}_BASE_URL", f"{asked.setting}_API_KEY"
    if not _KEY.fullmatch(asked.key):
        return Check(
            name, "warn", "the key holds a space, a line break or a letter that is not ASCII", f"correct {key}"
        )
    try:
        proxies = urlsplit(asked.url).hostname not in ("localhost", "127.0.0.1", "::1")
        with (
            httpx2.Client(timeout=_TIMEOUT_S, trust_env=proxies, follow_redirects=False) as client,
            client.stream("GET", asked.url, headers=asked.headers) as answer,
        ):
            status, elsewhere = answer.status_code, answer.headers.get("Location", "")
    except Exception as error:
        return Check(name, "warn", f"{place} {_why(error, asked.key)}", f"start it, or correct {address}")
    if status < 300:
        return Check(name, "ok", f"{place} answers ({status})")
    if status < 400:
        return Check(name, "warn", f"{place} sends us to {shown(elsewhere)} ({status})", f"correct {address}")
    if status in (401, 403):
        return Check(name, "warn", f"{place} refuses the key ({status})", f"correct {key}")
    if status == 404:
        return Check(name, "warn", f"{place} has no such list ({status})", f"correct {address}: most end in /v1")
    if status == 429:
        return Check(
            name, "warn", f"{place} takes no more requests just now ({status})", "wait, or raise the limit of its key"
        )
    if status >= 500:
        return Check(name, "warn", f"{place} fails ({status})", f"look at that server, or correct {address}")
    return Check(name, "ok", f"{place} is there, though it does not list anything ({status})")


def _why(error: Exception, key: str) -> str:
    """What the network or the client says, in words that hold no key."""
    if isinstance(error, httpx2.TimeoutException):
        return f"does not answer within {_TIMEOUT_S:g} s"
    if isinstance(error, httpx2.ConnectError):
        words = str(error)
        return f"does not answer: {words.replace(key, '…') if key else words}"
    if isinstance(error, httpx2.RemoteProtocolError):
        return "is no HTTP server"
    if isinstance(error, httpx2.TransportError):
        return f"breaks off ({type(error).__name__})"
    return f"cannot be asked ({type(error).__name__})"


def _connects(name: str, url: str) -> Check:
    """Whether a connection can be opened; the key is not tried."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
        socket.create_connection((parts.hostname or "", port), _TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        return Check(name, "warn", f"{shown(url)} cannot be reached: {error}", "check the network and the address")
    return Check(name, "ok", f"{shown(url)} accepts connections; the key was not tried")

"""Where a model's server is, by the settings, and whether it is there.

omnirt      OPENTALKING_OMNIRT_ENDPOINT + path template, a WebSocket for each session; its list of models is asked
direct_ws   the model's own address, OPENTALKING_FLASHTALK_WS_URL or OPENTALKING_FLASHHEAD_WS_URL
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from opentalking.config import Settings, env_name
from opentalking.models.adapter import ModelError
from opentalking.models.remote.wire import Dialect

PROBE_S = 1.0
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server of one model. `headers` hold the key: they are never shown."""

    url: str
    dialect: Dialect
    model: str  # as the server calls it
    backend: str
    models_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The address without what may be secret in it."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def find_endpoint(model: str, backend: str, settings: Settings) -> Endpoint:
    """The server of this model. Raises ModelError `not_configured`, naming the setting."""
    if backend == "direct_ws":
        return _direct(model, settings)
    base = settings.omnirt_endpoint.rstrip("/")
    if not base:
        raise _not_configured(model, "omnirt_endpoint", "http://gpu-box:8765")
    path = settings.omnirt_audio2video_path_template.replace("{model}", model)
    url = _checked(base, "omnirt_endpoint", "ws") + path
    models_url = _checked(base, "omnirt_endpoint", "http") + settings.omnirt_audio2video_models_path
    return Endpoint(url, "omnirt", model, backend, models_url, _bearer(settings.omnirt_api_key))


def _direct(model: str, settings: Settings) -> Endpoint:
    setting = f"{model}_ws_url"
    url: str = getattr(settings, setting)
    if not url:
        raise _not_configured(model, setting, f"ws://gpu-box:8765/v1/audio2video/{model}")
    dialect: Dialect = "flashhead" if model == "flashhead" else "omnirt"
    name = settings.flashhead_model if model == "flashhead" else model
    return Endpoint(_checked(url, setting, "ws"), dialect, name, "direct_ws", "", _bearer(settings.direct_ws_api_key))


async def probe(endpoint: Endpoint) -> None:
    """Return if the server is there. Raises ModelError with the reason of its backend, after PROBE_S at the latest."""
    reason = f"{endpoint.backend}_unavailable"
    try:
        async with asyncio.timeout(PROBE_S):
            if endpoint.models_url:
                await _ask_for_models(endpoint)
            else:
                await _knock(endpoint.url)
    except TimeoutError:
        raise ModelError(f"{endpoint.shown} does not answer within {PROBE_S:g} s", reason) from None
    except (OSError, aiohttp.ClientError) as error:
        raise ModelError(f"{endpoint.shown} cannot be reached: {type(error).__name__}", reason) from None


async def _ask_for_models(endpoint: Endpoint) -> None:
    async with aiohttp.ClientSession(headers=endpoint.headers) as client, client.get(endpoint.models_url) as answer:
        if answer.status in (401, 403):
            why = f"refuses our key (HTTP {answer.status}): set {env_name('omnirt_api_key')}"
            raise ModelError(f"{endpoint.shown} {why}", "omnirt_unavailable")
        if answer.status != 200:
            why = f"answers its list of models with HTTP {answer.status}"
            raise ModelError(f"{endpoint.shown} {why}", "omnirt_unavailable")
        try:
            names = _names(await answer.json(content_type=None))
        except (ValueError, RecursionError):  # a proxy's page, or half an answer: the server may be starting
            why = "answers its list of models with what is not JSON"
            raise ModelError(f"{endpoint.shown} {why}", "omnirt_unavailable") from None
    if names is not None and endpoint.model not in names and endpoint.url.endswith(f"/{endpoint.model}"):
        serves = ", ".join(sorted(names)) or "nothing"
        raise ModelError(
            f"{endpoint.shown}: the server has no {endpoint.model}; it serves {serves}", "omnirt_unavailable"
        )


def _names(listed: Any) -> set[str] | None:
    """Model names of an answer in any of the shapes that servers give; None: not a shape that is known."""
    if isinstance(listed, dict):
        listed = listed.get("models", listed.get("data"))
    if not isinstance(listed, list):
        return None
    names = [entry.get("id") if isinstance(entry, dict) else entry for entry in listed]
    return {name for name in names if isinstance(name, str)}


async def _knock(url: str) -> None:
    """A TCP connection and no more: a server that serves one session at a time must not spend it on us."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    _, writer = await asyncio.open_connection(parts.hostname, port)
    writer.close()


def _checked(url: str, setting: str, kind: str) -> str:
    """The address with the scheme of a WebSocket or of HTTP. Raises ModelError if it is not an address."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ModelError(f"{env_name(setting)}: not an address like ws://host:port or https://host", "not_configured")
    scheme = _SCHEMES[parts.scheme]
    return urlunsplit(parts._replace(scheme=scheme if kind == "ws" else scheme.replace("ws", "http")))


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _not_configured(model: str, setting: str, example: str) -> ModelError:
    return ModelError(f"{model} runs on another machine: set {env_name(setting)}, e.g. {example}", "not_configured")

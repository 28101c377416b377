"""The server under test: where it is, what it offers, and what an operator lets the suite do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import pytest

Kill = Callable[[str, dict[str, str]], Awaitable[None]]  # (role, hash of the session that is to be hurt)


@dataclass
class Server:
    """`strict`: what is optional in the field, this server promises; that it lacks it is a failure."""

    base: str
    strict: bool = False
    tones: bool = False  # its voice is a tone, as tests/support/tone.py describes it
    llm_port: int | None = None  # its language model is expected on this port of the suite's machine
    llm_host: str = "0.0.0.0"
    kill: Kill | None = None
    roles: list[str] = field(default_factory=list)  # what can be killed
    leftovers: Callable[[str], list[Path]] | None = None  # of a session, in shared memory
    avatar: str = ""
    model: str = ""
    health: dict[str, Any] = field(default_factory=dict)

    async def look_around(self) -> None:
        """Ask what is offered. An avatar or a model that the operator has named stays."""
        async with aiohttp.ClientSession(raise_for_status=True) as http:
            avatars, models, self.health = [await _get(http, self.base + path) for path in _CATALOG]
        usable = [one["id"] for one in models["statuses"] if one["connected"]]
        default = models.get("default_model")
        self.model = self.model or (default if default in usable else next(iter(usable), ""))
        ids = [one["id"] for one in avatars]
        fitting = [one["id"] for one in avatars if one["model_type"] == self.model]
        told = str(self.health.get("default_avatar"))
        first = next(iter([*fitting, *ids]), "")
        self.avatar = self.avatar or (told if told in ids else first)
        assert self.model, f"no model of {self.base} is connected: {models['statuses']}"
        assert self.avatar, f"{self.base} has no avatar"

    async def recognisers_loaded(self) -> None:
        """Until no provider of speech recognition says that it is being loaded (ours); as it was at first, else."""
        async with asyncio.timeout(LOADING_S), aiohttp.ClientSession(raise_for_status=True) as http:
            while any(one.get("loading") for one in _providers(self.health).values()):
                await asyncio.sleep(0.2)
                self.health = await _get(http, self.base + "/health")

    @property
    def recognisers(self) -> list[str]:
        """Providers of speech recognition that are ready: `available` (ours) or with a key (`key_set`, theirs)."""
        found = _providers(self.health)
        return [name for name, one in found.items() if one.get("available") or one.get("key_set")]

    def need(self, offered: object, what: str) -> None:
        """Go on if the server offers it; otherwise say that it does not, which fails where it was promised."""
        if not offered and self.strict:
            pytest.fail(f"promised, and not offered: {what}")
        if not offered:
            not_offered(what)

    def need_tones(self) -> None:
        if not self.tones:
            not_offered("a voice that tells turns apart (--tones)")


LOADING_S = 120.0
_CATALOG = ("/avatars", "/models", "/health")


def _providers(health: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of speech recognition, as GET /health has them."""
    found = health.get("stt") or health.get("stt_providers") or {}
    entries = found.items() if isinstance(found, dict) else ()
    return {name: one for name, one in entries if isinstance(one, dict)}


async def _get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as response:
        return await response.json()


def not_offered(what: str) -> NoReturn:
    pytest.skip(f"not offered by this server: {what}")

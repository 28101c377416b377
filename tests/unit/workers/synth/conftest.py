"""The server around the mirror, and a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from opentalking.models.remote.adapter import RemoteAdapter
from tests.support.late import LateDriver
from tests.support.synth import SynthThread

NAMES = {"synth_names": "wav2lip,flashtalk,flashhead"}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., SynthThread]]:
    """Starts a server of an adapter; keywords are settings."""
    started: list[SynthThread] = []

    def start(adapter: ModelAdapter, **settings: Any) -> SynthThread:
        server = SynthThread(adapter, tmp_path / f"faces{len(started)}", **{**NAMES, **settings})
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., LateDriver]]:
    """Opens a stream of our client on a server, with the packaged presenter; keywords are settings."""
    opened: list[LateDriver] = []

    def make(server: SynthThread, avatar: str = "presenter", **settings: Any) -> LateDriver:
        adapter = RemoteAdapter("wav2lip", "omnirt", Settings(omnirt_endpoint=server.base, **settings))
        driver = LateDriver(adapter, adapter.load_avatar(PACKAGED / avatar))
        opened.append(driver)
        return driver

    yield make
    for driver in opened:
        driver.close()

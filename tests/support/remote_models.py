"""Remote models, loaded, each with a stand-in of the original's server: for the conformance tests of all faces."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from opentalking.models.remote.adapter import RemoteAdapter

from .late import LateDriver
from .strict_server import StrictServer


@contextlib.contextmanager
def flashtalk_elsewhere(folder: Path) -> Iterator[ModelAdapter]:
    """Over a server of the original: one request, one answer."""
    server = StrictServer()
    server.start()
    with _used(RemoteAdapter("flashtalk", "omnirt", Settings(omnirt_endpoint=server.base))) as adapter:
        yield adapter
    server.stop()


@contextlib.contextmanager
def flashhead_elsewhere(folder: Path) -> Iterator[ModelAdapter]:
    """In flashhead's own dialect."""
    server = StrictServer(flashhead=True)
    server.start()
    settings = Settings(flashhead_ws_url=f"ws://{server.address}/v1/audio2video/flashhead")
    with _used(RemoteAdapter("flashhead", "direct_ws", settings)) as adapter:
        yield adapter
    server.stop()


@contextlib.contextmanager
def _used(adapter: RemoteAdapter) -> Iterator[ModelAdapter]:
    """Loaded, and it has been told how its server works."""
    adapter.load_model("cpu")
    driver = LateDriver(adapter, adapter.load_avatar(PACKAGED / "presenter"))
    driver.speak(np.zeros((1, 640), np.int16))
    driver.close()
    yield adapter

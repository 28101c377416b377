"""The synth-server in a thread of the test, around an adapter that the test made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web

from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from workers.synth.app import SynthServer
from workers.synth.device import Device
from workers.synth.faces import Faces

from .threaded_server import ThreadedServer


class SynthThread(ThreadedServer):
    """Serves `adapter`, loaded; keywords are settings."""

    def __init__(self, adapter: ModelAdapter, folder: Path, **settings: Any) -> None:
        super().__init__()
        self._config = Settings(**{"run_dir": str(folder), **settings})
        self._device = Device(adapter, self._config.synth_jpeg_quality)
        self.faces = Faces(adapter, folder, self._config)

    @property
    def base(self) -> str:
        return f"http://{self.address}"

    def app(self) -> web.Application:
        return SynthServer(self._device, self.faces, self._config).app()

    def stop(self) -> None:
        super().stop()
        self._device.close()

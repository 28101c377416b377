"""A service that recognises, and the question that is put to every recogniser."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from opentalking.config import Settings
from opentalking.types import Int16
from tests.support.dashscope_server import KEY, DashScopeServer
from tests.support.threaded_server import ThreadedServer

QUESTION = Path(__file__).parents[2] / "conformance" / "weather.wav"  # "What is the weather like today?"


@pytest.fixture(scope="session")
def question() -> Int16:
    with wave.open(str(QUESTION)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


class Service(ThreadedServer):
    """OpenAI's `/audio/transcriptions`: it knows the question by its loudness, and keeps the forms."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self.status = 200

    @property
    def base_url(self) -> str:
        return f"http://{self.address}/v1"

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/audio/transcriptions", self._transcribe)]

    async def _transcribe(self, request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        with wave.open(io.BytesIO(file.file.read())) as speech:
            assert (speech.getframerate(), speech.getnchannels(), speech.getsampwidth()) == (16_000, 1, 2)
            pcm = np.frombuffer(speech.readframes(speech.getnframes()), np.int16)
        self.forms.append({name: value for name, value in form.items() if isinstance(value, str)})
        if self.status != 200:
            return web.json_response({"error": {"message": "refused by the stand-in"}}, status=self.status)
        loud = np.abs(pcm.astype(int)).max() > 1000
        return web.json_response({"text": " What is the weather like today?" if loud else ""})


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    server = Service()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def dashscope() -> Iterator[DashScopeServer]:
    server = DashScopeServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stt_settings(tmp_path_factory: pytest.TempPathFactory, service: Service, dashscope: DashScopeServer) -> Settings:
    """Weights are put together once per test run."""
    return Settings(
        run_dir=str(tmp_path_factory.mktemp("run")),
        stt_base_url=service.base_url,
        dashscope_base_url=dashscope.base_url,
        dashscope_api_key=KEY,
    )

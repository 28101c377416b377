"""Which models an inference process offers, above all those that run elsewhere and are not there."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import workers.faces
from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings, settings
from opentalking.models.adapter import ModelError
from opentalking.types import UInt8
from tests.support.mirror import MirrorAdapter, MirrorAvatar
from tests.support.node import free_port
from tests.support.threaded_server import ThreadedServer
from workers.faces import Faces

MIRROR = "mirror=tests.support.mirror:MirrorAdapter"


class ListServer(ThreadedServer):
    """Answers the list of models with `body`; `rounds` counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.body = '{"models": []}'
        self.rounds = 0

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/audio2video/models", self._models)]

    async def _models(self, request: web.Request) -> web.Response:
        self.rounds += 1
        return web.Response(
            text=self.body, content_type="text/html" if self.body.startswith("<") else "application/json"
        )


@pytest.fixture
def server() -> Iterator[ListServer]:
    started = ListServer()
    started.start()
    yield started
    started.stop()


@pytest.fixture
def faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Faces]]:
    """Makes the faces of `models`; keywords are settings."""

    def make(models: list[str], **changes: str) -> Faces:
        config = {"run_dir": str(tmp_path), "model_plugins": MIRROR, "default_model": "mirror", **changes}
        for name, value in config.items():
            monkeypatch.setenv(f"OPENTALKING_{name.upper()}", value)
        settings.cache_clear()
        monkeypatch.setattr(workers.faces, "list_models", lambda _: models)
        monkeypatch.setattr(workers.faces, "LOOK_AGAIN_S", 0.0)
        return Faces(Settings(**config), on_device)  # type: ignore[arg-type]

    yield make
    settings.cache_clear()


async def on_device(call: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(call, *arguments)


def status_of(faces: Faces, model: str) -> dict[str, Any]:
    found: dict[str, Any] = next(status for status in faces.info()["models"] if status["id"] == model)
    return found


def occupied() -> tuple[int, int]:
    """Threads and descriptors of this process."""
    return threading.active_count(), len(os.listdir("/proc/self/fd"))


async def looks_again(faces: Faces, until: Callable[[], bool]) -> None:
    """Look again and again, until that is so."""
    looking = asyncio.create_task(faces.look_again())
    async with asyncio.timeout(60):
        while True:
            if until() or looking.done():
                break
            await asyncio.sleep(0.01)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


async def test_models_that_stay_away_cost_nothing_more_however_often_they_are_looked_for(
    faces: Callable[..., Faces], server: ListServer
) -> None:
    made = faces(["mirror", "musetalk", "flashtalk"], omnirt_endpoint=f"http://{server.address}")
    await made.load_all()
    assert status_of(made, "musetalk")["reason"] == "omnirt_unavailable"
    await looks_again(made, lambda: server.rounds >= 10)  # by now every pool has what it needs
    threads, descriptors = occupied()
    await looks_again(made, lambda: server.rounds >= 40)
    assert occupied()[0] <= threads + 1 and occupied()[1] <= descriptors + 2


async def test_sessions_that_ask_for_a_model_that_is_away_cost_nothing_more(
    faces: Callable[..., Faces], server: ListServer
) -> None:
    made = faces(["mirror", "musetalk"], omnirt_endpoint=f"http://{server.address}")
    await made.load_all()
    before, _ = occupied()
    for _ in range(10):
        with pytest.raises(ModelError, match="the server has no musetalk"):
            await made.get("musetalk", "presenter")
    assert occupied()[0] <= before + 1


async def test_models_that_are_not_configured_start_no_thread(faces: Callable[..., Faces]) -> None:
    before = set(threading.enumerate())
    made = faces(["mirror", "musetalk", "flashtalk", "flashhead"])
    await made.load_all()
    assert status_of(made, "flashtalk")["reason"] == "not_configured"
    assert not [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("remote-")]


async def test_a_default_model_whose_server_is_down_takes_nobody_with_it(
    faces: Callable[..., Faces], server: ListServer
) -> None:
    made = faces(["mirror", "musetalk"], omnirt_endpoint=f"http://{server.address}", default_model="musetalk")
    await made.load_all()
    assert (status_of(made, "mirror")["connected"], status_of(made, "musetalk")["connected"]) == (True, False)
    server.body = '{"models": ["musetalk"]}'
    await looks_again(made, lambda: bool(status_of(made, "musetalk")["connected"]))
    assert status_of(made, "musetalk")["connected"]


async def test_a_default_model_that_is_not_configured_is_a_mistake_to_be_told(faces: Callable[..., Faces]) -> None:
    with pytest.raises(ModelError, match="set OPENTALKING_OMNIRT_ENDPOINT"):
        await faces(["mirror", "musetalk"], default_model="musetalk").load_all()


@pytest.mark.parametrize(
    "answer", ["<html>log in</html>", "", "[" * 100_000, "\\ud800", '{"models": [{"id": ["x"]}]}', "[1, null]"]
)
async def test_a_list_that_is_none_is_asked_for_again_until_it_is_one(
    faces: Callable[..., Faces], server: ListServer, answer: str
) -> None:
    made = faces(["mirror", "musetalk"], omnirt_endpoint=f"http://{server.address}")
    server.body = answer
    await made.load_all()
    status = status_of(made, "musetalk")
    if not status["connected"]:  # a list in a shape that is not known is no reason to do without
        assert status["reason"] == "omnirt_unavailable"
        server.body = '{"models": ["musetalk"]}'
        await looks_again(made, lambda: bool(status_of(made, "musetalk")["connected"]))
    assert status_of(made, "musetalk")["connected"]


async def test_a_server_that_nobody_answers_at_is_looked_for_again(faces: Callable[..., Faces]) -> None:
    made = faces(["mirror", "musetalk"], omnirt_endpoint=f"http://127.0.0.1:{free_port()}")
    await made.load_all()
    assert status_of(made, "musetalk")["reason"] == "omnirt_unavailable"


SLOW_TO_DRAW = "mirror=tests.unit.workers.test_faces:SlowToDraw"


class SlowToDraw(MirrorAdapter):
    """Takes a second for sixteen million pixels."""

    def compose_frame(self, stream: MirrorAvatar, pose: int, prediction: tuple[int, int, int], out: UInt8) -> None:
        time.sleep(stream.width * stream.height / 16e6)
        super().compose_frame(stream, pose, prediction, out)


def bundle(folder: Path, side: int) -> None:
    """The presenter at another size, as avatar "large"."""
    shutil.copytree(PACKAGED / "presenter", folder / "large")
    manifest = json.loads((folder / "large" / "manifest.json").read_text())
    (folder / "large" / "manifest.json").write_text(
        json.dumps({**manifest, "id": "large", "width": side, "height": side})
    )


async def test_an_avatar_that_is_too_large_to_be_drawn_in_time_is_refused_with_the_figures(
    faces: Callable[..., Faces], tmp_path: Path
) -> None:
    bundle(tmp_path / "avatars", 1024)
    settings = {"model_plugins": SLOW_TO_DRAW, "custom_avatars_dir": str(tmp_path / "avatars")}
    back = faces(["mirror"], **settings)
    await back.get("mirror", "large")  # by a session that a crash has left: before anything is measured
    made = faces(["mirror"], **settings)
    await made.start()
    await made.load_all()
    with pytest.raises(ModelError, match=r"1024x1024 pixels take mirror \d+ ms a frame on cpu, and a frame lasts 40"):
        await made.get("mirror", "large")
    assert status_of(made, "mirror")["connected"]
    assert (await made.get("mirror", "presenter")).avatar.width == 512

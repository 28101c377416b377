"""A session whose face another machine draws: the real node, and the synth-server with the packaged portrait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integration.tones import duration_ms, level
from tests.support.client import Client
from tests.support.node import TONE, Node
from tests.support.synth_process import SynthProcess

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[SynthProcess]:
    with SynthProcess("--as", "wav2lip", "--token", "sesame") as synth:
        yield synth


@pytest.fixture(scope="module")
def node(server: SynthProcess, models: Path) -> Iterator[Node]:
    """Its wav2lip is drawn by the server."""
    settings = {
        "OPENTALKING_TTS_PLUGINS": f"tone={TONE}",
        "OPENTALKING_TTS_PROVIDER": "tone",
        "OPENTALKING_STT_PROVIDER": "none",
        "OPENTALKING_LLM_BASE_URL": "http://127.0.0.1:9/v1",  # nobody is asked anything here
        "OPENTALKING_DEFAULT_MODEL": "wav2lip",
        "OPENTALKING_WAV2LIP_BACKEND": "omnirt",
        "OPENTALKING_OMNIRT_ENDPOINT": server.base,
        "OPENTALKING_OMNIRT_API_KEY": "sesame",
    }
    running = Node(cache=models, **settings)
    asyncio.run(running.__aenter__())
    yield running
    asyncio.run(running.__aexit__())


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    async with Client(node.base, keep_pictures=True) as user:
        await user.create(model="wav2lip")
        await user.connect()
        yield user


async def status_of(client: Client, model: str) -> dict[str, Any]:
    statuses = (await client.request("GET", "/models"))["statuses"]
    found: dict[str, Any] = next(status for status in statuses if status["id"] == model)
    return found


async def status_once(client: Client, connected: bool, reason: str = "") -> dict[str, Any]:
    """What GET /models says of wav2lip when it is (not) connected, for this reason; looked at again and again."""
    async with asyncio.timeout(60):
        while True:
            status = await status_of(client, "wav2lip")
            if status["connected"] == connected and reason in status["reason"]:
                return status
            await asyncio.sleep(0.1)


async def spoken(client: Client, text: str) -> dict[str, Any]:
    """Say it; the event of its end."""
    turn = await client.call("POST", "/speak", {"text": text})
    return await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])


def moved(client: Client) -> float:
    """How far a received picture got from the first, which is idle; mean of luma."""
    pictures = [picture for _, _, picture in client.receiver.pictures if picture is not None]
    first = pictures[0].astype(int)
    return float(max(np.abs(picture - first).mean() for picture in pictures[1:]))


async def test_a_session_speaks_with_a_face_from_elsewhere(client: Client) -> None:
    assert (await status_of(client, "wav2lip")).items() >= {"connected": True, "backend": "omnirt"}.items()
    await client.receiver.hear_more(400)
    before = moved(client)
    end = await spoken(client, "[440] This face is drawn on another machine.")
    assert end["interrupted"] is False
    await client.receiver.hear_more(300)
    assert duration_ms(client.receiver.samples(), 440) > 500
    assert before < 1 < moved(client)  # idle it is a still picture; who speaks moves the head


async def test_an_interruption_is_obeyed_and_the_next_turn_is_whole(client: Client) -> None:
    turn = await client.call("POST", "/speak", {"text": "[440] A very long sentence, " + "and longer, " * 20})
    await client.events.wait("speech.media_started", lambda data: data["generation"] == turn["generation"])
    await client.receiver.hear_more(400)
    await client.call("POST", "/interrupt")
    ended = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is True
    await client.receiver.hear_more(500)
    since = len(client.receiver.samples())
    assert (await spoken(client, "[880] Clean again."))["interrupted"] is False
    await client.receiver.hear_more(300)
    later = client.receiver.samples()[since:]
    assert level(later, 440).max() < 600 and duration_ms(later, 880) > 300


async def test_a_server_that_dies_ends_the_turn_with_a_reason_and_is_found_again(
    client: Client, server: SynthProcess
) -> None:
    turn = await client.call("POST", "/speak", {"text": "[440] A very long sentence, " + "and longer, " * 40})
    await client.events.wait("speech.media_started", lambda data: data["generation"] == turn["generation"])
    server.kill()
    error = await client.events.wait("error")
    assert error["code"] == "RENDER_FAILED" and "the connection broke" in error["message"]
    assert "sesame" not in str(client.events.seen)
    assert (await status_once(client, connected=False))["reason"] == "omnirt_unavailable"
    server.start()
    await status_once(client, connected=True)
    assert (await spoken(client, "[880] Back again."))["interrupted"] is False


async def test_other_faces_come_back_while_the_default_models_server_is_down(node: Node, server: SynthProcess) -> None:
    before = node.processes()["inference-0"]
    server.kill()
    before.kill()
    async with Client(node.base) as client:
        status = await status_once(client, connected=False, reason="omnirt_unavailable")  # says the next incarnation
        assert "cannot be reached" in status["detail"]
        await client.create(model="portrait")
        await client.connect()
        assert node.processes()["inference-0"].pid != before.pid
        server.start()
        await status_once(client, connected=True)

"""What is being said is shown while it is said: by the offline recogniser, and by DashScope's through its stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import TONES, hearing, running
from tests.support.client import Client
from tests.support.dashscope_server import KEY, DashScopeServer
from tests.support.llm_server import LLMServer
from tests.support.node import Node
from tests.support.spoken import RATE, recorded

pytestmark = pytest.mark.integration

SENTENCE = "Unless to be rather cold-hearted and rather selfish is to be ill-disposed."


@pytest.fixture(scope="module")
def service() -> Iterator[DashScopeServer]:
    server = DashScopeServer()
    server.sentences = [SENTENCE]
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def listening(models: Path, service: DashScopeServer) -> Iterator[Node]:
    """A node whose sessions may use either."""
    elsewhere = {
        "OPENTALKING_DASHSCOPE_BASE_URL": service.base_url,
        "OPENTALKING_DASHSCOPE_API_KEY": KEY,
    }
    yield from running(Node(cache=models, **TONES, **elsewhere))


@pytest.fixture
async def user(listening: Node, llm: LLMServer) -> AsyncIterator[Client]:
    llm.reply = "[440] I see."
    async with Client(listening.base) as client:
        await hearing(client)
        yield client


def partial(known: list[str]) -> Any:
    return lambda told: not told["is_final"] and told["text"] and told["text"] not in known


@pytest.mark.parametrize("provider", ["whisper", "dashscope"])
async def test_words_are_told_before_the_speaker_is_done_and_then_answered(user: Client, provider: str) -> None:
    pcm = recorded("sense_and_sensibility_0890.wav")
    await user.create(stt_provider=provider)
    await user.connect()
    async with user.http.ws_connect(f"{user.base}/api/sessions/{user.session_id}/speak_audio_stream") as microphone:
        await microphone.send_json({"type": "meta"})
        known: list[str] = []
        for start in (0, 2 * RATE):  # two seconds; what comes of them; two more
            for piece in range(start, start + 2 * RATE, 640):
                await microphone.send_bytes(pcm[piece : piece + 640].tobytes())
            known.append((await user.events.wait("transcript", partial(known)))["text"])
        await microphone.send_bytes(pcm[4 * RATE :].tobytes())
        await microphone.send_json({"type": "end"})
        answer = await microphone.receive_json(timeout=60)
    assert all(text.lower().startswith("unless") and text != SENTENCE for text in known)
    assert answer["text"] == SENTENCE
    final = await user.events.wait("transcript", lambda told: told["is_final"])
    assert final["text"] == SENTENCE
    ended = await user.events.wait("speech.ended", lambda told: told["generation"] == answer["generation"])
    assert ended["text"] == "[440] I see." and ended["interrupted"] is False

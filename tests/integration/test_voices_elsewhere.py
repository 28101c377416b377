"""A session whose voice is a service that fails: another voice says the rest, the client hears why, no key is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.conftest import TONES
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import Node
from tests.support.voice_servers import KEY, ElevenLabs, Fault

pytestmark = pytest.mark.integration


@pytest.fixture
async def service() -> AsyncIterator[ElevenLabs]:
    async with ElevenLabs() as server:
        yield server


@pytest.fixture
async def abroad(models: Path, service: ElevenLabs) -> AsyncIterator[Node]:
    """A node that speaks with a service, and with tones when it must."""
    settings = {
        **TONES,
        "OPENTALKING_TTS_PROVIDER": "elevenlabs",
        "OPENTALKING_TTS_ELEVENLABS_API_KEY": KEY,
        "OPENTALKING_TTS_ELEVENLABS_BASE_URL": service.base_url,
        "OPENTALKING_TTS_ELEVENLABS_OUTPUT_FORMAT": "pcm_24000",
        "OPENTALKING_TTS_FALLBACK": "tone",
        "OPENTALKING_TTS_REST_S": "0",
        "OPENTALKING_STT_PROVIDER": "none",
        "OPENTALKING_LLM_API_KEY": f"{KEY}-of-the-model",
    }
    async with Node(cache=models, **settings) as node:
        yield node


async def test_a_voice_that_fails_is_stood_in_for_and_no_key_is_anywhere_to_be_read(
    abroad: Node, service: ElevenLabs, llm: LLMServer
) -> None:
    async with Client(abroad.base) as client:
        await client.create()
        await client.connect()

        async def say(text: str, *faults: Fault) -> dict[str, object]:
            service.faults = list(faults)
            turn = await client.call("POST", "/speak", {"text": text})
            ended = await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
            assert not ended["interrupted"] and ended["text"] == text
            return turn

        await say("The service itself says this.")
        assert service.requests[-1]["text"] == "The service itself says this."
        for faults, code in (
            ((Fault(status=429),) * 2, "rate_limited"),
            ((Fault(status=401),), "unauthorized"),
            ((Fault(reset=True, parts=4), Fault(status=503)), "failed"),
        ):
            turn = await say("Somebody else says the rest of this.", *faults)
            told = await client.events.wait(
                "tts",
                lambda data, turn=turn: data["generation"] == turn["generation"] and data["stage"] == "fallback",
            )
            assert (told["provider"], told["instead"], told["code"]) == ("elevenlabs", "tone", code)
        await say("And now the service again.")
        assert service.requests[-1]["text"] == "And now the service again."
        for status in (400, 404, 401, 500):
            llm.status, llm.refusal = status, "." * 100 + "a bad key, {key}, and nothing " + "." * 100
            turn = await client.call("POST", "/chat", {"prompt": "Hello?"})
            error = await client.events.wait("error", lambda data, turn=turn: data["generation"] == turn["generation"])
            assert error["code"] == "LLM_FAILED"
            await client.events.wait("speech.ended", lambda data, turn=turn: data["generation"] == turn["generation"])
            assert "LLM_FAILED" in (await client.call("GET", ""))["last_error"]
        assert sum("a bad key, …, and" in data.get("message", "") for _, _, data in client.events.seen) >= 2
        shown = [await client.request("GET", path) for path in ("/health", "/voices", "/models", "/sessions")]
        shown.append(await client.call("GET", ""))
        _, settings = await abroad.cli("settings")
        _, doctor = await abroad.cli("doctor")
        written = "".join(log.read_text(errors="replace") for log in abroad.logs())
        assert KEY not in repr(shown) + repr(client.events.seen) + settings + doctor + written

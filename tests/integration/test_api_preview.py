"""How a voice sounds: by the API alone, and through a real node."""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from typing import Any

import aiohttp
import numpy as np
import pytest

from opentalking.store import Preview
from tests.api_client import Api
from tests.support.node import Node
from tests.support.tone import RATE, tone


async def answered(api: Api, body: dict[str, Any], reply: dict[str, Any]) -> tuple[int, bytes, str]:
    """The answer to a preview that a speech worker replies to with `reply`."""

    async def worker() -> None:
        async for _, command in api.store.commands("a:speech-1"):
            assert isinstance(command, Preview)
            assert (command.text, command.tts_provider, command.tts_voice) == ("Hello.", "piper", "joe")
            await api.store.reply(command.request_id, reply)
            return

    working = asyncio.create_task(worker())
    async with api.client.post("/tts/preview", json=body) as response:
        answer = response.status, await response.read(), response.content_type
    await working
    return answer


async def test_what_the_worker_made_is_a_wav(api: Api) -> None:
    body = {"text": "Hello.", "tts_provider": "piper", "voice": "joe"}
    sound = base64.b64encode(b"RIFF and so on").decode()
    assert await answered(api, body, {"wav": sound}) == (200, b"RIFF and so on", "audio/wav")


@pytest.mark.parametrize(
    ("code", "status"), [("bad_request", 400), ("unauthorized", 502), ("timeout", 504), ("failed", 502)]
)
async def test_why_there_is_none_is_told(api: Api, code: str, status: int) -> None:
    body = {"text": "Hello.", "tts_provider": "piper", "tts_voice": "joe"}
    got, raw, _ = await answered(api, body, {"code": code, "detail": "it is so"})
    assert (got, raw) == (status, f'{{"detail":"it is so","code":"tts_{code}"}}'.encode())


async def test_what_cannot_be_spoken_is_refused_at_once(api: Api) -> None:
    for body, code in (
        ({"text": "  "}, "text_empty"),
        ({"text": "a" * 1001}, "text_too_long"),
        ({"text": "Hello.", "tts_provider": "parrot"}, "unknown_tts_provider"),
        ({"text": "Hello.", "tts_provider": "espeak"}, "tts_unavailable"),
        ({"text": "Hello.", "voice": "nobody"}, "unknown_voice"),
    ):
        status, answer = await api.post("/tts/preview", body)
        assert (status, answer["code"]) == (400, code)


@pytest.mark.integration
async def test_a_real_node_speaks_the_text_to_its_end(node: Node) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{node.base}/tts/preview", json={"text": "Hello to you."}) as response:
            assert (response.status, response.content_type) == (200, "audio/wav")
            with wave.open(io.BytesIO(await response.read())) as heard:
                assert (heard.getframerate(), heard.getnchannels()) == (RATE, 1)
                pcm = np.frombuffer(heard.readframes(heard.getnframes()), "<i2")
        np.testing.assert_array_equal(pcm, tone("Hello to you."))
        async with http.get(f"{node.base}/voices") as response:
            listed = {row["provider"] for row in (await response.json())["items"]}
        assert listed == {"tone", "piper", "espeak", "edge"}  # those that need no key

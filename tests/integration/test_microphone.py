"""Speaking to a real node: the words arrive, an answer is heard; and what happens when something is in the way."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from opentalking.config import Settings
from tests.integration.conftest import TONES, running
from tests.integration.tones import eventually
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import Node
from tests.support.spoken import RATE, said_by_piper, wav

pytestmark = pytest.mark.integration

SENTENCE = "How far is the moon from the earth?"
QUESTION = Path(__file__).parents[1] / "conformance" / "weather.wav"  # "What is the weather like today?"
FORM = "multipart/form-data"


@pytest.fixture(scope="module")
def listening(models: Path) -> Iterator[Node]:
    """A node with the voice, the face and the recogniser of the defaults; the language model is a stand-in."""
    llm = {name: value for name, value in TONES.items() if "_LLM_" in name}
    yield from running(Node(cache=models, OPENTALKING_MAX_AUDIO_BYTES="200000", **llm))


@pytest.fixture
async def speaker(listening: Node, llm: LLMServer) -> AsyncIterator[Client]:
    llm.reply = "It is quite far away."
    async with Client(listening.base) as user:
        await until(lambda: loaded(user))
        await user.create()
        yield user


async def until(asked: Callable[[], Awaitable[bool]]) -> None:
    """For what only the API can be asked."""
    async with asyncio.timeout(60):
        while True:
            if await asked():
                return
            await asyncio.sleep(0.1)


async def loaded(user: Client) -> bool:
    """The node is ready, and so is the recogniser, which loads when everything else is."""
    health = await user.request("GET", "/health")
    return bool(health["ready"] and health["stt"]["whisper"]["available"])


async def opened(user: Client) -> bool:
    return bool((await user.call("GET", ""))["ready_speech"] == "1")


def socket(user: Client) -> Any:
    return user.http.ws_connect(f"{user.base}/api/sessions/{user.session_id}/speak_audio_stream")


async def converse(user: Client, pcm: bytes) -> dict[str, Any]:
    """One utterance, and the answer."""
    async with socket(user) as microphone:
        await microphone.send_json({"type": "meta"})
        for start in range(0, len(pcm), 640):
            await microphone.send_bytes(pcm[start : start + 640])
        await microphone.send_json({"type": "end"})
        answer: dict[str, Any] = await microphone.receive_json(timeout=30)
        return answer


def question() -> bytes:
    with wave.open(str(QUESTION)) as file:
        return file.readframes(file.getnframes())


async def test_what_is_said_arrives_and_an_answer_is_heard(speaker: Client, llm: LLMServer, tmp_path: Path) -> None:
    settings = Settings(run_dir=str(tmp_path))
    pcm = await said_by_piper(SENTENCE, settings)
    await speaker.connect()
    answer = await converse(speaker, pcm.tobytes())
    assert answer["text"].lower().replace(",", "") == SENTENCE.lower()
    started = await speaker.events.wait("speech.started")
    assert (started["text"], started["kind"], started["generation"]) == (answer["text"], "chat", answer["generation"])
    assert llm.requests[-1]["messages"][-1]["content"] == answer["text"]  # type: ignore[index]
    assert (await speaker.events.wait("speech.ended"))["text"] == llm.reply
    timing = await speaker.events.wait("speech.timing")
    assert timing["end_of_speech_ms"] == 0 and "vad_decision_ms" not in timing
    assert 0 < timing["stt_final_ms"] <= timing["turn_committed_ms"] <= timing["dispatched_ms"]
    await speaker.receiver.hear_more(100)
    heard = speaker.receiver.samples().astype(np.int32)
    assert np.percentile(np.abs(heard), 90) > 300


async def test_to_speak_is_to_interrupt(speaker: Client) -> None:
    await speaker.connect()
    turn = await speaker.call("POST", "/speak", {"text": "This goes on for a while. " * 20})
    await speaker.events.wait("speech.media_started")
    answer = await converse(speaker, question())
    assert answer.get("generation", 0) > turn["generation"], answer
    ended = await speaker.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is True
    await speaker.events.wait("speech.ended", lambda data: data["generation"] == answer["generation"])


async def test_a_second_microphone_is_refused_while_the_first_is_open(speaker: Client) -> None:
    async with socket(speaker) as first, socket(speaker) as second:
        await first.send_json({"type": "config"})
        assert (await first.receive_json())["type"] == "ack"
        await second.send_json({"type": "config"})
        refused = await second.receive_json()
        assert (refused["type"], refused["code"]) == ("error", "microphone_busy")
        assert (await second.receive()).type is aiohttp.WSMsgType.CLOSE and second.close_code == 4409
        await first.send_bytes(question())
        await first.send_json({"type": "eos"})
        assert (await first.receive_json()) == {"type": "ack", "of": "eos"}
        assert "weather" in (await first.receive_json(timeout=30))["text"].lower()


@pytest.mark.parametrize(
    ("frames", "code", "word"),
    [
        (['{"type": "meta", "sample_rate": 48000}'], 4400, "sample_rate"),
        (['{"type": "meta", "voice": "nobody"}'], 4400, "nobody"),
        (['{"type": "meta"}', '{"type": "meta"}'], 4400, "type"),
        (['{"type": "meta"}', "what"], 4400, "frame"),
        (['{"type": "meta"}', *[bytes(1_000_000)] * 2], 4400, "longer than 60 s"),
    ],
)
async def test_what_is_wrong_is_told_and_the_next_utterance_is_heard(
    speaker: Client, frames: list[str | bytes], code: int, word: str
) -> None:
    async with socket(speaker) as microphone:
        for frame in frames:
            await (microphone.send_str(frame) if isinstance(frame, str) else microphone.send_bytes(frame))
        assert word in (await microphone.receive_json(timeout=30))["error"]
        await microphone.receive()
        assert microphone.close_code == code
    assert "weather" in (await converse(speaker, question()))["text"].lower()


async def test_an_utterance_that_its_worker_does_not_survive_is_told_and_the_next_is_heard(
    speaker: Client, listening: Node
) -> None:
    async with socket(speaker) as microphone:
        await microphone.send_json({"type": "config"})
        await microphone.receive_json()
        await microphone.send_bytes(question())
        listening.processes()["speech-0"].kill()
        await eventually(lambda: "speech-0" in listening.processes(), "speech-0 is back")
        await microphone.send_json({"type": "eos"})
        assert (await microphone.receive_json())["type"] == "ack"
        told = await microphone.receive_json(timeout=60)
        assert (told["type"], told["code"]) == ("error", "worker_restarted")
    await until(lambda: loaded(speaker))  # until then, the API would refuse, and rightly
    await until(lambda: opened(speaker))
    assert "weather" in (await converse(speaker, question()))["text"].lower()


async def upload(user: Client, action: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    url = f"{user.base}/sessions/{user.session_id}{action}"
    async with user.http.post(url, data=body, headers=headers) as response:
        return response.status, json.loads(await response.text())


def form(content: bytes | None, **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData(fields)
    if content is not None:
        made.add_field("file", content, filename="speech.wav", content_type="application/octet-stream")
    else:
        made.add_field("nothing", b"x", filename="x")
    return made


@pytest.mark.parametrize(
    ("content", "fields", "status", "code"),
    [
        (b"", {}, 400, "audio_empty"),
        (None, {}, 400, "audio_empty"),
        (b"this is no recording", {}, 400, "invalid_audio"),
        (bytes(200_001), {}, 413, "body_too_large"),
        (wav(np.zeros(61 * 1600, np.int16)), {}, 400, "speech_empty"),
        (b"x", {"stt_provider": "siri"}, 400, "unknown_stt_provider"),
        (b"x", {"stt_provider": "openai_compatible"}, 503, "stt_unavailable"),
        (b"x", {"voice": "x" * 200}, 422, "invalid_field"),
        (b"x", {"voice": "nobody"}, 400, "unknown_voice"),
    ],
)
async def test_a_recording_that_cannot_be_used_is_refused_in_words(
    speaker: Client, content: bytes | None, fields: dict[str, str], status: int, code: str
) -> None:
    found, told = await upload(speaker, "/speak_audio", form(content, **fields))
    assert (found, told["code"]) == (status, code), told
    assert len(told["detail"]) > 10


async def test_what_is_no_form_is_refused(speaker: Client) -> None:
    assert (await upload(speaker, "/transcribe", b"RIFF"))[0] == 415
    for body in (b"no form", b"--x\r\n\r\nno end", b""):
        found, told = await upload(speaker, "/transcribe", body, **{"Content-Type": f"{FORM}; boundary=x"})
        assert (found, told["code"]) in ((400, "invalid_form"), (400, "audio_empty")), told
    assert (await upload(speaker, "/transcribe", b"no form", **{"Content-Type": FORM}))[0] == 400


async def test_a_recording_of_nothing_transcribes_to_nothing(speaker: Client) -> None:
    found, told = await upload(speaker, "/transcribe", form(wav(np.zeros(RATE, np.int16))))
    assert (found, told) == (200, {"session_id": speaker.session_id, "text": ""})

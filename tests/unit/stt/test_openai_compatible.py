"""What is sent to a service, and what becomes of its refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from opentalking.config import Settings
from opentalking.stt.adapters.openai_compatible import OpenAICompatibleSTT
from opentalking.stt.base import STTError
from opentalking.types import MODEL_RATE, AudioChunk, Int16
from tests.unit.stt.conftest import Service


async def text(settings: Settings, pcm: Int16) -> str:
    async def audio() -> AsyncIterator[AudioChunk]:
        yield AudioChunk(pcm, MODEL_RATE)

    stt = OpenAICompatibleSTT(settings)
    try:
        return [one async for one in stt.transcribe_stream(audio())][-1].text
    finally:
        await stt.aclose()


async def test_model_and_language_are_those_of_the_settings(
    stt_settings: Settings, service: Service, question: Int16
) -> None:
    await text(msgspec.structs.replace(stt_settings, stt_model="large", stt_language="en"), question)
    assert {"model": "large", "language": "en"}.items() <= service.forms[-1].items()
    await text(stt_settings, question)
    assert service.forms[-1]["model"] == "whisper-1" and "language" not in service.forms[-1]


async def test_a_refusal_is_told_in_the_services_words(
    stt_settings: Settings, service: Service, question: Int16
) -> None:
    service.status = 401
    try:
        with pytest.raises(STTError, match="refused by the stand-in"):
            await text(stt_settings, question)
    finally:
        service.status = 200


async def test_a_service_that_is_not_there_is_named(question: Int16) -> None:
    with pytest.raises(STTError, match=r"http://127\.0\.0\.1:9/v1"):
        await text(Settings(stt_base_url="http://127.0.0.1:9/v1"), question)


def test_without_an_address_it_is_missing() -> None:
    reason = OpenAICompatibleSTT.missing(Settings())
    assert reason is not None and "OPENTALKING_STT_BASE_URL" in reason

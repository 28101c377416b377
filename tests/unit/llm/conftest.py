"""A scripted service, and the client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from opentalking.config import Settings
from opentalking.llm.openai_compatible import OpenAICompatibleLLM
from tests.unit.llm.fake_service import FakeService, fake_service


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with fake_service() as running:
        yield running


@pytest.fixture
async def llm(service: FakeService) -> AsyncIterator[OpenAICompatibleLLM]:
    adapter = OpenAICompatibleLLM(Settings(llm_max_tokens=7), service.base_url, "", "toy")
    yield adapter
    await adapter.aclose()

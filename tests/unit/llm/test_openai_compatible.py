"""The client of OpenAI-compatible services, against a real HTTP server that can misbehave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from aiohttp import web

from opentalking.config import Settings
from opentalking.llm.base import LLMError, Usage
from opentalking.llm.openai_compatible import OpenAICompatibleLLM
from tests.unit.llm.fake_service import EMPTY, QUESTION, FakeService, Reply, answer, says, sends


def refuses(status: int) -> Callable[[Reply], Awaitable[web.StreamResponse]]:
    async def script(reply: Reply) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no"}}, status=status)

    return script


def breaks_after(*deltas: str) -> Callable[[Reply], Awaitable[web.StreamResponse]]:
    async def script(reply: Reply) -> web.StreamResponse:
        response = await reply.open()
        for delta in deltas:
            await reply.delta(delta)
        reply.cut()
        return response

    return script


async def stalls(reply: Reply) -> web.StreamResponse:
    await reply.open()
    await reply.delta("")
    await asyncio.Event().wait()
    raise AssertionError("never")


async def talks_for_ever(reply: Reply) -> web.StreamResponse:
    await reply.open()
    await reply.delta("word ")
    await asyncio.Event().wait()
    raise AssertionError("never")


async def test_deltas_arrive_in_order_and_empty_ones_are_left_out(
    service: FakeService, llm: OpenAICompatibleLLM
) -> None:
    service.scripts = [says("", "Hel", None, "lo.")]
    assert await answer(llm) == ["Hel", "lo."]


async def test_the_request_carries_messages_model_and_token_limit(
    service: FakeService, llm: OpenAICompatibleLLM
) -> None:
    service.scripts = [says("ok")]
    await answer(llm)
    assert service.bodies == [
        {
            "model": "toy",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 7,
        }
    ]


async def test_turns_share_one_pooled_connection(service: FakeService, llm: OpenAICompatibleLLM) -> None:
    service.scripts = [says("one"), says("two"), says("three")]
    await llm.warmup()
    for _ in range(3):
        await answer(llm)
    assert len(service.peers) == 1


async def test_closing_the_generator_disconnects_from_the_server(
    service: FakeService, llm: OpenAICompatibleLLM
) -> None:
    service.scripts = [talks_for_ever]
    async with aclosing(llm.chat_stream(QUESTION)) as stream:
        assert await anext(stream) == "word "
    async with asyncio.timeout(5):
        await service.disconnected.wait()


async def test_cancelling_the_reader_disconnects_from_the_server(
    service: FakeService, llm: OpenAICompatibleLLM
) -> None:
    service.scripts = [stalls]
    reader = asyncio.create_task(answer(llm))
    async with asyncio.timeout(5):
        await service.asked.wait()
        reader.cancel()
        await service.disconnected.wait()
    with pytest.raises(asyncio.CancelledError):
        await reader


NOT_JSON = "data: {oops"
OVERLOADED = 'data: {"error":{"message":"overloaded","type":"server_error","code":503}}'


@pytest.mark.parametrize(
    "failure", [refuses(500), refuses(503), breaks_after(), says(), sends(NOT_JSON), sends(EMPTY, OVERLOADED)]
)
async def test_a_failure_before_the_first_token_is_tried_once_more(
    service: FakeService, llm: OpenAICompatibleLLM, failure: Callable[[Reply], Awaitable[web.StreamResponse]]
) -> None:
    service.scripts = [failure, says("fine")]
    assert await answer(llm) == ["fine"]


async def test_a_second_failure_is_final(service: FakeService, llm: OpenAICompatibleLLM) -> None:
    service.scripts = [refuses(500), refuses(500), says("never")]
    with pytest.raises(LLMError) as failure:
        await answer(llm)
    assert failure.value.code == "failed"
    assert len(service.bodies) == 2


async def test_a_failure_after_the_first_token_is_not_repeated(service: FakeService, llm: OpenAICompatibleLLM) -> None:
    service.scripts = [breaks_after("Once"), says("never")]
    heard = []
    with pytest.raises(LLMError) as failure:
        async for delta in llm.chat_stream(QUESTION):
            heard.append(delta)
    assert heard == ["Once"]
    assert failure.value.code == "unreachable"
    assert len(service.bodies) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "bad_request"), (404, "bad_request"), (401, "unauthorized"), (403, "unauthorized"), (429, "rate_limited")],
)
async def test_a_refusal_has_a_stable_code_and_is_not_repeated(
    service: FakeService, llm: OpenAICompatibleLLM, status: int, code: str
) -> None:
    service.scripts = [refuses(status), says("never")]
    with pytest.raises(LLMError) as failure:
        await answer(llm)
    assert failure.value.code == code
    assert len(service.bodies) == 1


async def test_a_chunk_that_is_not_json_is_a_typed_failure(service: FakeService, llm: OpenAICompatibleLLM) -> None:
    async def garbles(reply: Reply) -> web.StreamResponse:
        response = await reply.open()
        await reply.delta("Well")
        await reply.raw("data: {oops\n\n")
        return response

    service.scripts = [garbles]
    with pytest.raises(LLMError) as failure:
        await answer(llm)
    assert failure.value.code == "failed"


async def test_a_model_that_stalls_before_its_first_token_times_out_and_is_closed(service: FakeService) -> None:
    llm = OpenAICompatibleLLM(Settings(llm_first_token_timeout_s=0.2), service.base_url, "", "toy")
    service.scripts = [stalls]
    with pytest.raises(LLMError) as failure:
        await answer(llm)
    assert failure.value.code == "timeout"
    async with asyncio.timeout(5):
        await service.disconnected.wait()
    await llm.aclose()


def keeps_alive_with(nothing: str) -> Callable[[Reply], Awaitable[web.StreamResponse]]:
    """A word, and then nothing but this, again and again."""

    async def script(reply: Reply) -> web.StreamResponse:
        await reply.open()
        await reply.delta("word ")
        while True:
            await reply.raw(nothing + "\n\n")
            await asyncio.sleep(0.01)

    return script


@pytest.mark.parametrize(
    "stalling",
    [talks_for_ever, keeps_alive_with(": ping"), keeps_alive_with(EMPTY)],
    ids=["silent", "comments", "empty deltas"],
)
async def test_a_model_that_stalls_in_the_middle_of_its_reply_times_out(
    service: FakeService, stalling: Callable[[Reply], Awaitable[web.StreamResponse]]
) -> None:
    llm = OpenAICompatibleLLM(Settings(llm_first_token_timeout_s=0.2), service.base_url, "", "toy")
    service.scripts = [stalling]
    async with asyncio.timeout(20), aclosing(llm.chat_stream(QUESTION)) as stream:
        assert await anext(stream) == "word "
        with pytest.raises(LLMError) as failure:
            await anext(stream)
        assert failure.value.code == "timeout"
        await service.disconnected.wait()
    await llm.aclose()


async def test_an_endpoint_nobody_listens_on_is_unreachable() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    llm = OpenAICompatibleLLM(Settings(), f"http://127.0.0.1:{port}/v1", "", "toy")
    for attempt in (llm.warmup(), answer(llm)):
        with pytest.raises(LLMError) as failure:
            await attempt
        assert failure.value.code == "unreachable"
    await llm.aclose()


# As these servers write them (docs/models-elsewhere.md): the role first or with every delta, thoughts in a field of
# their own, comments that keep a proxy awake, usage in a last event without choices.
OLLAMA = (
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":'
    '"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Hm."},"finish_reason":null}]}',
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":'
    '"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}',
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":'
    '"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"lo."},"finish_reason":"stop"}]}',
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"qwen3","system_fingerprint":'
    '"fp_ollama","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}',
    "data: [DONE]",
)
VLLM = (
    ": ping",
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":'
    '"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}',
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    '{"reasoning_content":"Hm."},"logprobs":null,"finish_reason":null}]}',
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":'
    '"Hel"},"logprobs":null,"finish_reason":null}]}',
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":'
    '"lo."},"logprobs":null,"finish_reason":"stop","stop_reason":null}]}',
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":12,'
    '"total_tokens":15,"completion_tokens":3}}',
    "data: [DONE]",
)


@pytest.mark.parametrize("recorded", [OLLAMA, VLLM], ids=["ollama", "vllm"])
async def test_local_servers_are_understood_and_their_thoughts_left_out(
    service: FakeService, llm: OpenAICompatibleLLM, recorded: tuple[str, ...]
) -> None:
    service.scripts = [sends(*recorded)]
    spent: list[Usage] = []
    assert [delta async for delta in llm.chat_stream(QUESTION, spent.append)] == ["Hel", "lo."]
    assert spent == [Usage(prompt_tokens=12, completion_tokens=3)]


async def test_a_service_that_does_not_know_stream_options_is_asked_without_them(
    service: FakeService, llm: OpenAICompatibleLLM
) -> None:
    async def refuses_options(reply: Reply) -> web.StreamResponse:
        return web.json_response({"error": {"message": "unknown field: stream_options"}}, status=400)

    service.scripts = [refuses_options, says("ok"), says("ok")]
    assert await answer(llm) == await answer(llm) == ["ok"]
    assert ["stream_options" in body for body in service.bodies] == [True, False, False]

"""Replies as services stream them: whatever else their chunks hold, and however they end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import web

from opentalking.llm.base import Usage
from opentalking.llm.openai_compatible import OpenAICompatibleLLM
from tests.unit.llm.fake_service import QUESTION, WORD, FakeService, Reply, Script, answer, sends


@pytest.mark.parametrize(
    "chunk",
    [
        "null",
        "[1,2]",
        "1",
        '"x"',
        "{}",
        '{"choices":null}',
        '{"choices":[null]}',
        '{"choices":[{"index":0}]}',
        '{"choices":[{"index":0,"delta":null}]}',
        '{"choices":[{"index":0,"delta":{"content":7}}]}',
        '{"choices":[],"usage":7}',
        '{"choices":"none","usage":{}}',
    ],
)
async def test_a_chunk_without_words_is_passed_over(service: FakeService, llm: OpenAICompatibleLLM, chunk: str) -> None:
    service.scripts = [sends(f"data: {chunk}", WORD, f"data: {chunk}", WORD, "data: [DONE]")]
    spent: list[Usage] = []
    assert [delta async for delta in llm.chat_stream(QUESTION, spent.append)] == ["word ", "word "]
    assert spent == []


async def test_parts_of_a_delta_are_its_texts(service: FakeService, llm: OpenAICompatibleLLM) -> None:
    thought = '{"type":"thinking","thinking":[{"type":"text","text":"Hm."}]}'
    service.scripts = [
        sends(f'data: {{"choices":[{{"index":0,"delta":{{"content":[{thought},{{"type":"text","text":"Yes."}}]}}}}]}}')
    ]
    assert await answer(llm) == ["Yes."]


def counted(content: str, prompt: int, completion: int) -> str:
    usage = f'{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}'
    return f'data: {{"choices":[{{"index":0,"delta":{{"content":"{content}"}}}}],"usage":{usage}}}'


@pytest.mark.parametrize(
    "events",
    [
        (counted("a", 9, 1), counted("b", 9, 2), counted("", 9, 3)),
        (counted("ab", 9, 3),),
        (counted("ab", 9, 3), 'data: {"choices":[],"usage":{}}'),
    ],
    ids=["in every chunk", "with the first words", "and once more without figures"],
)
async def test_what_an_answer_took_is_told_once(
    service: FakeService, llm: OpenAICompatibleLLM, events: tuple[str, ...]
) -> None:
    service.scripts = [sends(*events, "data: [DONE]")]
    spent: list[Usage] = []
    assert "".join([delta async for delta in llm.chat_stream(QUESTION, spent.append)]) == "ab"
    assert spent == [Usage(9, 3)]


async def test_what_an_interrupted_answer_took_is_told_as_far_as_it_was_counted(
    service: FakeService, llm: OpenAICompatibleLLM
) -> None:
    service.scripts = [sends(counted("a", 9, 1), counted("b", 9, 2))]
    spent: list[Usage] = []
    async with aclosing(llm.chat_stream(QUESTION, spent.append)) as stream:
        assert await anext(stream) == "a"
    assert spent == [Usage(9, 1)]


def finished(reason: str, content: str = "") -> str:
    delta = f'{{"role":"assistant","content":"{content}","reasoning":"Hm."}}'
    return f'data: {{"choices":[{{"index":0,"delta":{delta},"finish_reason":"{reason}"}}]}}'


async def hangs_after_the_end(reply: Reply) -> web.StreamResponse:
    await reply.open()
    await reply.raw(finished("stop", "All of it.") + "\n\n")
    await asyncio.Event().wait()
    raise AssertionError("never")


async def breaks_after_the_end(reply: Reply) -> web.StreamResponse:
    response = await reply.open()
    await reply.raw(finished("stop", "All of it.") + "\n\n")
    reply.cut()
    return response


@pytest.mark.parametrize("script", [hangs_after_the_end, breaks_after_the_end])
async def test_a_server_that_fails_after_the_last_words_has_not_failed(
    service: FakeService, llm: OpenAICompatibleLLM, script: Script
) -> None:
    service.scripts = [script]
    async with asyncio.timeout(20):
        assert await answer(llm) == ["All of it."]

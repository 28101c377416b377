"""Turns over HTTP: the generation is raised first, then the command sent."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from opentalking.store import Chat, Interrupt, Open, Resync, Speak
from tests.api_client import Api


async def test_speak_says_the_text_as_it_stands(api: Api) -> None:
    session_id = await api.new_session()
    body = {"text": "  Hello,\n<b>you</b>. ", "voice": "joe", "tts_provider": "piper", "tts_model": "m"}
    queued = {"session_id": session_id, "status": "queued", "generation": 1}
    assert await api.post(f"/sessions/{session_id}/speak", body) == (200, queued)
    _, command = await api.sent("a:speech-1", 2)
    assert isinstance(command, Speak)
    assert (command.session_id, command.generation, command.text) == (session_id, 1, "  Hello,\n<b>you</b>. ")
    assert (command.tts_voice, command.tts_provider, command.tts_model) == ("joe", "piper", "m")
    assert command.accepted_at > 0


async def test_chat_asks_the_language_model(api: Api) -> None:
    session_id = await api.new_session()
    assert (await api.post(f"/sessions/{session_id}/chat", {"prompt": "Who are you?"}))[0] == 200
    _, command = await api.sent("a:speech-1", 2)
    assert isinstance(command, Chat)
    assert (command.prompt, command.generation, command.tts_voice) == ("Who are you?", 1, "")


async def test_text_and_prompt_are_two_names_for_one_thing(api: Api) -> None:
    session_id = await api.new_session()
    await api.post(f"/sessions/{session_id}/speak", {"prompt": "one"})
    await api.post(f"/sessions/{session_id}/chat", {"text": "two"})
    _, speak, chat = await api.sent("a:speech-1", 3)
    assert isinstance(speak, Speak) and speak.text == "one"
    assert isinstance(chat, Chat) and chat.prompt == "two"


async def test_every_turn_and_every_interrupt_raises_the_generation_and_announces_it(api: Api) -> None:
    session_id = await api.new_session()
    async with aclosing(api.store.interrupts()) as interrupts:
        assert await anext(interrupts) == Resync()
        for number, (path, body) in enumerate(
            [("speak", {"text": "a"}), ("chat", {"prompt": "b"}), ("interrupt", None), ("speak", {"text": "c"})], 1
        ):
            status, answer = await api.post(f"/sessions/{session_id}/{path}", body)
            assert (status, answer["generation"]) == (200, number)
            assert await anext(interrupts) == Interrupt(session_id, number)
    commands = await api.sent("a:speech-1", 4)
    assert commands[0] == Open(session_id)
    turns = [command.generation for command in commands[1:] if isinstance(command, Speak | Chat)]
    assert turns == [1, 2, 4]


async def test_interrupting_silence_changes_no_state(api: Api) -> None:
    session_id = await api.new_session(ready=True)
    answer = {"session_id": session_id, "status": "interrupted", "generation": 1}
    assert await api.post(f"/sessions/{session_id}/interrupt") == (200, answer)
    assert (await api.get(f"/sessions/{session_id}"))[1]["state"] == "worker_ready"


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "detail"),
    [
        ("speak", {"text": "   \n"}, 400, "text_empty", "text: must not be empty"),
        ("speak", {}, 400, "text_empty", "text: must not be empty"),
        ("chat", {"prompt": ""}, 400, "text_empty", "prompt: must not be empty"),
        ("speak", {"text": "x" * 51}, 400, "text_too_long", "text: 51 characters, at most 50"),
        ("chat", {"prompt": "x" * 60}, 400, "text_too_long", "prompt: 60 characters, at most 50"),
        ("speak", {"text": 5}, 422, "invalid_field", "text: Expected `str | null`, got `int`"),
        ("chat", {"prompt": ["a"]}, 422, "invalid_field", "prompt: Expected `str | null`, got `array`"),
        ("speak", {"text": "a", "voice": 1}, 422, "invalid_field", "voice: Expected `str | null`, got `int`"),
        ("speak", {"text": "a", "voice": "ann"}, 400, "unknown_voice", "voice: no 'ann'; known: joe"),
        (
            "chat",
            {"prompt": "a", "tts_provider": "espeak"},
            400,
            "tts_unavailable",
            "tts_provider: espeak cannot be used: espeak-ng is missing",
        ),
    ],
)
async def test_a_turn_that_cannot_be_taken_is_refused_and_silences_nobody(
    api: Api, path: str, body: Any, status: int, code: str, detail: str
) -> None:
    session_id = await api.new_session()
    assert await api.post(f"/sessions/{session_id}/{path}", body) == (status, {"detail": detail, "code": code})
    assert await api.store.generation(session_id) == 0


async def test_the_longest_text_is_still_taken(api: Api) -> None:
    session_id = await api.new_session()
    assert (await api.post(f"/sessions/{session_id}/speak", {"text": "。" * 50}))[0] == 200


async def test_a_closing_session_takes_no_turn(api: Api) -> None:
    session_id = await api.new_session()
    await api.store.set_state(session_id, "closing")
    detail = f"session {session_id} is closing"
    assert await api.post(f"/sessions/{session_id}/speak", {"text": "a"}) == (
        409,
        {"detail": detail, "code": "session_ended"},
    )


async def test_while_a_worker_of_the_session_goes_nothing_new_is_begun_and_nothing_is_cut(api: Api) -> None:
    session_id = await api.new_session(ready=True)
    assert (await api.post(f"/sessions/{session_id}/speak", {"text": "Hello."}))[0] == 200
    await api.store.unready(session_id, "inference")
    status, problem = await api.post(f"/sessions/{session_id}/speak", {"text": "Too late."})
    assert (status, problem["code"]) == (503, "draining")
    assert problem["detail"].startswith("the inference worker")
    assert await api.store.generation(session_id) == 1
    await api.store.mark_ready(session_id, "inference")
    assert (await api.post(f"/sessions/{session_id}/speak", {"text": "Hello."}))[0] == 200

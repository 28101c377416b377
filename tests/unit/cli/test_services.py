"""The doctor's look at services elsewhere, against servers that answer, refuse and are not there."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest
from aiohttp import web

from opentalking.cli import services
from opentalking.cli.checks import Check
from opentalking.config import Settings
from tests.support.threaded_server import ThreadedServer

KEY = "a-key-that-is-right"


class Keeper(ThreadedServer):
    """Lists models, and an account, to whoever has the key."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/models", self._list), web.get("/v1/user", self._list)]

    async def _list(self, request: web.Request) -> web.Response:
        known = KEY in (request.headers.get("Authorization", ""), request.headers.get("xi-api-key"))
        known = known or request.headers.get("Authorization") == f"Bearer {KEY}"
        return web.json_response({"data": []}, status=200 if known else 401)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    server = Keeper()
    server.start()
    yield server
    server.stop()


def settings_at(address: str, key: str = KEY, **more: str) -> Settings:
    return Settings(
        llm_base_url=f"http://{address}/v1",
        llm_api_key=key,
        tts_openai_base_url=f"http://{address}/v1",
        tts_openai_api_key=key,
        tts_elevenlabs_base_url=f"http://{address}",
        tts_elevenlabs_api_key=key,
        dashscope_api_key=key,
        tts_dashscope_service_url=f"ws://{address}/api-ws/v1/realtime",
        **more,
    )


def levels(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.level for check in checks}


def test_services_that_answer_and_take_the_key_are_well(keeper: Keeper) -> None:
    assert levels(services.services(settings_at(keeper.address))) == {
        "llm": "ok",
        "voice elevenlabs": "ok",
        "voice openai_compatible": "ok",
        "voice dashscope": "ok",
    }


def test_a_key_that_is_refused_is_named_by_its_setting_and_never_shown(keeper: Keeper) -> None:
    checks = {check.name: check for check in services.services(settings_at(keeper.address, key="a-wrong-key"))}
    assert checks["llm"].mend == "correct OPENTALKING_LLM_API_KEY"
    assert checks["voice elevenlabs"].mend == "correct OPENTALKING_TTS_ELEVENLABS_API_KEY"
    assert checks["voice openai_compatible"].mend == "correct OPENTALKING_TTS_OPENAI_API_KEY"
    assert "a-wrong-key" not in repr(checks)


def test_a_service_that_is_not_there_is_a_warning(keeper: Keeper) -> None:
    keeper.stop()
    checks = services.services(settings_at(keeper.address))
    assert set(levels(checks).values()) == {"warn"}
    assert all(check.mend for check in checks)


def test_a_fallback_without_its_key_or_without_a_name_is_told() -> None:
    checks = services.services(Settings(tts_fallback="elevenlabs,parrot,piper"))
    assert levels(checks) == {"llm": "ok", "voice elevenlabs": "warn", "voice parrot": "fail"}
    assert checks[1].message == "set OPENTALKING_TTS_ELEVENLABS_API_KEY"


def test_a_voice_of_a_plugin_that_is_written_wrongly_does_not_end_the_look() -> None:
    assert levels(services.services(Settings(tts_plugins="foo"))) == {"llm": "ok"}


@pytest.mark.parametrize("key", ["sk-SECRET\nmore", "sk SECRET", "“sk-SECRET”", "sk-SECRET\0"])
def test_a_key_that_no_header_can_carry_is_told_and_not_shown(keeper: Keeper, key: str) -> None:
    checks = services.services(settings_at(keeper.address, key=key))
    keyed = [check for check in checks if check.name != "voice dashscope"]
    assert {check.level for check in keyed} == {"warn"} and "SECRET" not in repr(checks)
    assert keyed[0].mend == "correct OPENTALKING_LLM_API_KEY"
    assert keyed[0].message.startswith("the key holds a space, a line break or a letter that is not ASCII")


class Odd(ThreadedServer):
    """Answers as it is told by `status`, and keeps the headers that it got."""

    def __init__(self, status: int = 200, location: str = "") -> None:
        super().__init__()
        self.status, self.location = status, location
        self.heard: list[dict[str, str]] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{path:.*}", self._answer)]

    async def _answer(self, request: web.Request) -> web.Response:
        self.heard.append(dict(request.headers))
        return web.Response(status=self.status, headers={"Location": self.location} if self.location else {})


@pytest.fixture
def odd() -> Iterator[Odd]:
    server = Odd()
    server.start()
    yield server
    server.stop()


def test_a_redirect_takes_no_key_anywhere(keeper: Keeper, odd: Odd) -> None:
    odd.status, odd.location = 307, "http://thief.invalid/v1/models?key=sk-SECRET"
    check = services.language_model(Settings(llm_base_url=f"http://{odd.address}/v1", llm_api_key=KEY))
    assert check.level == "warn" and "SECRET" not in repr(check)
    assert check.message.endswith("sends us to http://thief.invalid/v1/models?*** (307)")
    assert check.mend == "correct OPENTALKING_LLM_BASE_URL"
    assert len(odd.heard) == 1


@pytest.mark.parametrize(
    ("status", "level", "told", "mend"),
    [
        (404, "warn", "has no such list", "correct OPENTALKING_LLM_BASE_URL: most end in /v1"),
        (429, "warn", "takes no more requests just now", "wait, or raise the limit of its key"),
        (500, "warn", "fails", "look at that server, or correct OPENTALKING_LLM_BASE_URL"),
        (503, "warn", "fails", "look at that server, or correct OPENTALKING_LLM_BASE_URL"),
        (405, "ok", "is there, though it does not list anything", ""),
    ],
)
def test_an_answer_that_is_no_list_is_told_for_what_it_is(
    odd: Odd, status: int, level: str, told: str, mend: str
) -> None:
    odd.status = status
    check = services.language_model(Settings(llm_base_url=f"http://{odd.address}/v1"))
    assert check == Check("llm", level, f"http://{odd.address}/v1/models {told} ({status})", mend)  # type: ignore[arg-type]


def test_a_server_that_speaks_no_http_is_a_warning() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65_536)
                client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        greeting = threading.Thread(target=greet)
        greeting.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        check = services.language_model(Settings(llm_base_url=address))
        greeting.join()
    assert (check.level, check.message) == ("warn", f"{address}/models is no HTTP server")


@pytest.mark.parametrize("address", ["http://h:abc/v1", "http://[::1/v1", "h/v1", "http://"])
def test_what_is_no_address_is_a_warning(address: str) -> None:
    settings = msgspec.structs.replace(settings_at("x"), llm_base_url=address, tts_dashscope_service_url=address)
    checks = {check.name: check for check in services.services(settings)}
    assert checks["llm"].level == checks["voice dashscope"].level == "warn"


def test_a_user_and_password_in_an_address_are_used_as_turns_use_them_and_not_shown(odd: Odd) -> None:
    url = f"http://user:secret@{odd.address}/v1?key=secret"
    check = services.language_model(Settings(llm_base_url=url, llm_api_key=KEY))
    assert check.level == "ok" and "secret" not in repr(check)
    assert odd.heard[0]["Authorization"] == "Basic " + base64.b64encode(b"user:secret").decode()
    voice = services.voice("openai_compatible", Settings(tts_openai_base_url=url, tts_openai_api_key=KEY))
    assert voice.level == "warn" and "a user in the address and a key" in voice.message  # aiohttp refuses both

"""The doctor's look at services elsewhere, against servers that answer, refuse and are not there."""

from __future__ import annotations

from collections.abc import Iterator

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


def test_what_an_address_carries_of_secrets_is_not_shown() -> None:
    check = services.language_model(Settings(llm_base_url="http://user:secret@127.0.0.1:9/v1?key=secret"))
    assert check.level == "warn" and "secret" not in repr(check)

"""What is told of a service that fails, and what is not."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest
from aiohttp import web

from opentalking.config import Settings
from opentalking.tts.base import TTSError
from opentalking.tts.registry import create_tts
from opentalking.tts.service import Service
from tests.support.voice_servers import VoiceServer

KEY = "sk-a-key-that-nobody-is-told"
SERVICE = Service("siri", "OPENTALKING_SIRI_API_KEY", KEY)


@pytest.mark.parametrize("before", range(170, 201, 3))
def test_no_part_of_a_key_is_told_wherever_the_words_are_cut(before: int) -> None:
    told = str(SERVICE.refused(500, "x" * before + f" {KEY}"))
    assert "sk-" not in told and "s" not in told.split("x")[-1]


def test_a_service_that_has_much_to_say_is_cut_short() -> None:
    for error in (SERVICE.refused(500, "blah " * 10_000), SERVICE.error("failed", "blah " * 10_000)):
        assert len(str(error)) < 500


def test_an_address_is_told_without_who_may_use_it() -> None:
    told = str(SERVICE.error("bad_request", "no such address: http://me:secret@host:1/v1"))
    assert told == "siri: no such address: http://…@host:1/v1"


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        (401, "invalid_api_key", "unauthorized"),
        (403, "forbidden", "unauthorized"),
        (401, '{"detail": {"status": "quota_exceeded"}}', "rate_limited"),
        (402, "pay first", "rate_limited"),
        (429, "slow down", "rate_limited"),
        (404, "no such voice", "bad_request"),
        (503, "later", "failed"),
    ],
)
def test_a_refusal_has_the_code_of_what_to_do_about_it(status: int, words: str, code: str) -> None:
    assert SERVICE.refused(status, words).code == code


def test_how_long_to_wait_is_read_in_seconds_and_as_a_date() -> None:
    assert SERVICE.refused(429, "", "7.5").retry_after_s == 7.5
    assert SERVICE.refused(503, "", "-3").retry_after_s == 0
    in_a_minute = SERVICE.refused(429, "", formatdate(time.time() + 60, usegmt=True)).retry_after_s
    assert in_a_minute is not None and 0 < in_a_minute <= 60
    assert SERVICE.refused(429, "", formatdate(time.time() - 60, usegmt=True)).retry_after_s == 0
    for unreadable in ("soon", "", None):
        assert SERVICE.refused(429, "", unreadable).retry_after_s is None


class Talkative(VoiceServer):
    """Answers 200 with words instead of sound."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/audio/speech", self._speech)]

    async def _speech(self, request: web.Request) -> web.Response:
        return web.json_response({"error": f"the model is loading, {KEY}"})


async def test_words_in_place_of_sound_are_not_played() -> None:
    async with Talkative() as server:
        where = f"{server.base_url}/v1"
        settings = Settings(tts_openai_base_url=where, tts_openai_api_key=KEY, tts_openai_response_format="pcm")
        tts = create_tts("openai_compatible", settings)
        with pytest.raises(TTSError, match=r"it sent application/json for sound: .*the model is loading") as caught:
            _ = [chunk async for chunk in tts.synthesize_stream("Hello.")]
        await tts.aclose()
    assert caught.value.code == "broken" and KEY not in str(caught.value)

"""The one suite that every voice elsewhere passes, against a stand-in that speaks its protocol, by its real client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.policy import TurnVoice, VoiceChain, Wanted
from opentalking.tts.registry import create_tts, list_tts
from opentalking.types import Int16
from tests.support.dashscope_voices import DashScopeVoices, QwenRealtime
from tests.support.tone import ToneTTS
from tests.support.voice_servers import KEY, MS_PER_CHARACTER, Edge, ElevenLabs, Fault, OpenAISpeech, VoiceServer, tone

TEXT = "This is said by a service elsewhere."
QUICK = {"tts_first_pcm_timeout_s": 0.3, "tts_stall_timeout_s": 0.3}


@dataclass(frozen=True)
class Case:
    """A provider in one of its ways to send sound."""

    provider: str
    server: Callable[[], VoiceServer]
    settings: dict[str, Any] = field(default_factory=dict)
    key_setting: str = ""

    def __str__(self) -> str:
        return "-".join([self.provider, *map(str, self.settings.values())])

    def at(self, server: VoiceServer, key: str = KEY) -> Settings:
        settings = Settings(**self.settings, **QUICK)
        where = {
            "openai_compatible": {"tts_openai_base_url": f"{server.base_url}/v1"},
            "elevenlabs": {"tts_elevenlabs_base_url": server.base_url},
            "dashscope": {"tts_dashscope_service_url": getattr(server, "url", "")},
            "cosyvoice": {"dashscope_base_url": getattr(server, "url", "")},
            "sambert": {"dashscope_base_url": getattr(server, "url", "")},
        }.get(self.provider, {})
        return msgspec.structs.replace(settings, **where, **({self.key_setting: key} if self.key_setting else {}))


def openai(audio_format: str) -> Case:
    return Case("openai_compatible", OpenAISpeech, {"tts_openai_response_format": audio_format}, "tts_openai_api_key")


def elevenlabs(transport: str, output_format: str) -> Case:
    settings = {"tts_elevenlabs_transport": transport, "tts_elevenlabs_output_format": output_format}
    return Case("elevenlabs", ElevenLabs, settings, "tts_elevenlabs_api_key")


CASES = [
    Case("edge", Edge),
    *map(openai, ("pcm", "wav", "mp3", "opus")),
    *(
        elevenlabs(transport, output_format)
        for transport in ("http", "websocket")
        for output_format in ("mp3_44100_128", "pcm_24000")
    ),
    *(
        elevenlabs("http", output_format)
        for output_format in ("mp3_22050_32", "pcm_16000", "opus_48000_64", "ulaw_8000", "alaw_8000")
    ),
]
DASHSCOPE = [
    Case("dashscope", QwenRealtime, {}, "dashscope_api_key"),
    *(
        Case("cosyvoice", DashScopeVoices, {"tts_cosyvoice_format": kind}, "dashscope_api_key")
        for kind in ("pcm", "mp3", "wav")
    ),
    Case("sambert", DashScopeVoices, {}, "dashscope_api_key"),
]
CASES += DASHSCOPE
ONE_EACH = [CASES[0], openai("pcm"), elevenlabs("http", "mp3_44100_128"), elevenlabs("websocket", "pcm_24000")]
ONE_EACH += [DASHSCOPE[0], DASHSCOPE[1], DASHSCOPE[-1]]
KEYED = [case for case in ONE_EACH if case.key_setting]


@dataclass
class Service:
    """A stand-in that runs, and an adapter that talks to it."""

    case: Case
    server: VoiceServer
    settings: Settings
    tts: TTSAdapter

    async def speak(self, text: str = TEXT, **named: str) -> tuple[Int16, int]:
        chunks = [chunk async for chunk in self.tts.synthesize_stream(text, **named)]
        assert len({chunk.sample_rate for chunk in chunks}) <= 1
        assert all(chunk.data.dtype == np.int16 and chunk.data.ndim == 1 and len(chunk.data) for chunk in chunks)
        pcm = np.concatenate([np.zeros(0, np.int16), *(chunk.data for chunk in chunks)])
        return pcm, chunks[0].sample_rate if chunks else 0

    async def fails(self, *faults: Fault) -> TTSError:
        self.server.faults = list(faults)
        async with asyncio.timeout(20):
            with pytest.raises(TTSError) as caught:
                await self.speak()
            await self.server.idle.wait()
        assert KEY not in str(caught.value)
        return caught.value


@pytest.fixture
async def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    case: Case = request.param
    before, threads_before = asyncio.all_tasks(), set(threading.enumerate())
    async with case.server() as server:
        if isinstance(server, Edge):
            monkeypatch.setattr("edge_tts.communicate.WSS_URL", server.url)
        settings = case.at(server)
        tts = create_tts(case.provider, settings)
        await tts.warmup()
        yield Service(case, server, settings, tts)
        await tts.aclose()
        async with asyncio.timeout(10):
            await server.idle.wait()
            for thread in set(threading.enumerate()) - threads_before:  # not those that other tests have left
                if thread.name.startswith(("dashscope", "cosyvoice")):
                    await asyncio.to_thread(thread.join)
    assert {task for task in asyncio.all_tasks() - before if "aiohttp" not in repr(task)} <= {asyncio.current_task()}


every = pytest.mark.parametrize("service", CASES, indirect=True, ids=str)
one_each = pytest.mark.parametrize("service", ONE_EACH, indirect=True, ids=str)
keyed = pytest.mark.parametrize("service", KEYED, indirect=True, ids=str)


def test_every_provider_elsewhere_is_in_this_suite() -> None:
    assert {case.provider for case in CASES} == set(list_tts(Settings())) - {"piper", "espeak"}


@every
async def test_what_is_heard_is_what_the_service_said(service: Service) -> None:
    pcm, rate = await service.speak()
    assert rate in service.tts.sample_rates
    expected_s = len(TEXT) * MS_PER_CHARACTER / 1000
    assert expected_s - 0.02 <= len(pcm) / rate <= expected_s + 0.12  # codecs begin before the sound and end after it
    middle = pcm[len(pcm) // 4 : len(pcm) // 4 + rate].astype(float)
    loudest = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() * rate / len(middle)
    assert abs(loudest - 440) < 3
    assert 6500 < np.abs(middle).max() < 9500


@one_each
async def test_a_voice_and_a_model_can_be_named(service: Service) -> None:
    await service.speak(voice="en-US-AvaNeural" if service.case.provider == "edge" else "anna", model="large")
    (asked,) = service.server.requests
    assert "voice" in asked and asked["voice"].lower().endswith(("anna", "avaneural)"))
    if service.case.provider != "edge":
        assert "large" in (asked.get("model"), asked.get("model_id")) or service.case.provider == "sambert"


@one_each
@pytest.mark.parametrize("text", ["", " \n "])
async def test_a_blank_text_is_not_sent(service: Service, text: str) -> None:
    assert len((await service.speak(text))[0]) == 0 and not service.server.requests


@one_each
async def test_any_unicode_arrives_as_it_is(service: Service) -> None:
    for text in ("Zürich & <b>你好，世界。</b>", "😀 emoji 👨‍👩‍👧"):
        await service.speak(text)
        asked = service.server.requests[-1]
        assert asked.get("input", asked.get("text")) == text


@keyed
async def test_a_key_that_is_refused_is_named_by_its_setting_and_not_told(service: Service) -> None:
    tts = create_tts(service.case.provider, service.case.at(service.server, key="a-wrong-key"))
    with pytest.raises(TTSError) as caught:
        _ = [chunk async for chunk in tts.synthesize_stream(TEXT)]
    await tts.aclose()
    assert caught.value.code == "unauthorized" and not caught.value.may_pass
    assert f"OPENTALKING_{service.case.key_setting.upper()}" in str(caught.value)
    assert "a-wrong-key" not in str(caught.value)


@keyed
def test_without_a_key_or_an_address_the_reason_is_the_setting(service: Service) -> None:
    with pytest.raises(TTSError, match=r"set OPENTALKING_\w+"):
        create_tts(service.case.provider, Settings())


@one_each
async def test_refusals_have_a_code_and_what_may_pass_is_told_apart(service: Service) -> None:
    limited = await service.fails(Fault(status=429, retry_after="7"))
    told_s = None if service.case.provider == "sambert" else 7.0  # its library keeps the header to itself
    assert (limited.code, limited.retry_after_s, limited.may_pass) == ("rate_limited", told_s, True)
    for date, asked_s in (("Wed, 25 Nov 2099 12:00:00 GMT", 1e8), ("Wed, 25 Nov 2020 12:00:00 GMT", 0)):
        by_date = await service.fails(Fault(status=429, retry_after=date))
        assert by_date.retry_after_s is told_s or by_date.retry_after_s == 0 or (by_date.retry_after_s or 0) > asked_s
    assert (await service.fails(Fault(status=429, retry_after="soon"))).retry_after_s is None
    for status in (500, 502, 503):
        assert (await service.fails(Fault(status=status))).code == "failed"
    refused = await service.fails(Fault(status=400))
    assert (refused.code, refused.may_pass) == ("bad_request", False)


@pytest.mark.parametrize("service", KEYED[:2], indirect=True, ids=str)
@pytest.mark.parametrize("before", [0, 150, 158, 190])
async def test_a_refusal_that_repeats_the_key_is_told_without_any_part_of_it(service: Service, before: int) -> None:
    told = str(await service.fails(Fault(status=400, words="." * before + KEY)))
    assert KEY[:4] not in told and len(told) < 250


@pytest.mark.parametrize("service", KEYED[:2], indirect=True, ids=str)
@pytest.mark.parametrize(
    "address", ["http//user:hunter2pw@h/v1", "http://user:hunter2pw@[h/v1", "http://user:hunter2pw@h:x/v1"]
)
async def test_an_address_that_is_none_is_told_without_its_password(service: Service, address: str) -> None:
    tts = create_tts(
        service.case.provider,
        msgspec.structs.replace(service.settings, tts_openai_base_url=address, tts_elevenlabs_base_url=address),
    )
    with pytest.raises(TTSError) as caught:
        _ = [chunk async for chunk in tts.synthesize_stream(TEXT)]
    await tts.aclose()
    assert "hunter2pw" not in str(caught.value)


@one_each
async def test_a_connection_that_breaks_is_an_error_before_the_first_sound_and_after_it(service: Service) -> None:
    for parts in (0, 5):
        error = await service.fails(Fault(reset=True, parts=parts))
        assert error.code in ("unreachable", "failed") and error.may_pass


@one_each
async def test_what_is_no_sound_is_an_error(service: Service) -> None:
    if service.settings.tts_openai_response_format == "pcm" and service.case.provider == "openai_compatible":
        service.settings = msgspec.structs.replace(service.settings, tts_openai_response_format="wav")
        service.tts = create_tts(service.case.provider, service.settings)  # of bare PCM nobody can tell
    told = "failed" if service.case in DASHSCOPE else "broken"  # these say themselves that they have failed
    assert (await service.fails(Fault(garbage=True))).code == told
    await service.tts.aclose()


@pytest.mark.parametrize("service", DASHSCOPE[:1], indirect=True, ids=str)
async def test_sound_that_is_not_base64_is_told_at_once(service: Service) -> None:
    assert (await service.fails(Fault(malformed=True, stall=True, parts=1))).code == "broken"


@pytest.mark.parametrize("service", [DASHSCOPE[0], DASHSCOPE[1]], indirect=True, ids=str)
async def test_a_flood_of_sound_is_not_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opentalking.tts.dashscope._MOST_BYTES", 1 << 16)
    error = await service.fails(Fault(endless=True))
    assert error.code == "broken" and "of sound for a fragment" in str(error)


@one_each
async def test_a_service_that_is_not_there_is_unreachable(service: Service) -> None:
    await service.server.__aexit__()
    with pytest.raises(TTSError) as caught:
        await service.speak()
    assert caught.value.code == "unreachable"
    await service.server.__aenter__()


@one_each
@pytest.mark.parametrize("how", ["close", "cancel"])
async def test_who_stops_listening_ends_the_request(service: Service, how: str) -> None:
    service.server.faults = [Fault(endless=True, drip_s=0.005)]
    async with aclosing(service.tts.synthesize_stream(TEXT)) as chunks:
        await anext(chunks)
        assert service.server.open == 1
        if how == "cancel":
            waiting = asyncio.ensure_future(anext(chunks))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
    async with asyncio.timeout(10):
        await service.server.idle.wait()
    assert len((await service.speak())[0])  # and the next one is heard


@pytest.mark.parametrize(
    "service",
    [
        case
        for case in CASES
        if {"wav", "mp3", "mp3_44100_128"} & {"mp3" if case.provider == "edge" else "", *case.settings.values()}
    ],
    indirect=True,
    ids=str,
)
async def test_sound_of_another_rate_than_was_asked_for_is_heard_at_its_own_pitch_and_length(service: Service) -> None:
    service.server.faults = [Fault(rate=16_000)]
    pcm, rate = await service.speak()
    assert rate == 16_000
    assert abs(len(pcm) / rate - len(TEXT) * MS_PER_CHARACTER / 1000) < 0.15
    middle = pcm[rate // 2 : rate // 2 + rate].astype(float)
    assert abs(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() - 440) < 3


@one_each
async def test_sound_that_drips_in_is_heard_whole(service: Service) -> None:
    whole, _ = await service.speak()
    service.server.faults = [Fault(drip_s=0.002)]  # far quicker than speech; the drip that is given up is below
    np.testing.assert_array_equal((await service.speak())[0], whole)


@one_each
async def test_a_service_that_does_not_stop_is_stopped(service: Service) -> None:
    async def load(name: str) -> TTSAdapter:
        return service.tts

    service.server.faults = [Fault(endless=True)]
    settings = Settings()  # a busy machine is no reason to ask again
    turn = TurnVoice(VoiceChain(settings, load, "piper"), Wanted(service.case.provider), lambda *_: None)
    heard_s = 0.0
    async for chunk in turn.speak(TEXT):
        heard_s += len(chunk.data) / chunk.sample_rate
    assert 10 < heard_s < 10 + len(TEXT)
    async with asyncio.timeout(10):
        await service.server.idle.wait()


FAULTS = {
    "no sound": Fault(stall=True),
    "a stall": Fault(stall=True, parts=12),
    "a slow beginning": Fault(delay_s=5.0),
    "a reset": Fault(reset=True, parts=12),
    "a refusal": Fault(status=503),
    "a quota": Fault(status=429, retry_after="60"),
    "a wrong key": Fault(status=401),
    "an end before the beginning": Fault(truncate=True, parts=0),
    "an end soon after the beginning": Fault(truncate=True, parts=4),
}
ENDED = [case for case in CASES if str(case) not in ("openai_compatible-pcm", "openai_compatible-mp3")]
ENDED = [case for case in ENDED if case.settings.get("tts_elevenlabs_transport") != "http" or "opus" in str(case)]


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        *((case, fault) for case in ONE_EACH for fault in FAULTS.values()),
        (openai("pcm"), Fault(drip_s=0.25)),  # 15 ms of sound each time, just within the deadline of a pause
    ],
    indirect=["service"],
    ids=[*(f"{case}-{name}" for case in ONE_EACH for name in FAULTS), "openai_compatible-pcm-a drip"],
)
async def test_whatever_fails_twice_the_sentence_is_heard_to_its_end_by_another_voice(
    service: Service, fault: Fault
) -> None:
    async def load(name: str) -> TTSAdapter:
        return service.tts if name == service.case.provider else ToneTTS(service.settings)

    told: list[dict[str, Any]] = []
    chain = VoiceChain(service.settings, load, "piper")
    turn = TurnVoice(chain, Wanted(service.case.provider), lambda event, data: told.append(data))
    service.server.faults = [fault, fault]
    chunks = [chunk async for chunk in turn.speak(TEXT)]
    assert len({chunk.sample_rate for chunk in chunks}) == 1
    heard_s = sum(len(chunk.data) for chunk in chunks) / chunks[0].sample_rate
    assert heard_s > 0.6 * len(TEXT) * MS_PER_CHARACTER / 1000
    assert [data["stage"] for data in told][-1] == "fallback" and told[-1]["instead"] == "piper"
    assert KEY not in repr(told)
    async with asyncio.timeout(10):
        await service.server.idle.wait()


@pytest.mark.parametrize("service", ENDED, indirect=True, ids=str)
async def test_where_the_end_is_told_an_end_before_it_is_an_error_however_late(service: Service) -> None:
    async with aclosing(service.tts.synthesize_stream(TEXT)) as chunks:
        whole = sum([len(chunk.data) async for chunk in chunks])
    parts = service.server.parts - 1
    service.server.faults = [Fault(truncate=True, parts=parts)]
    heard = 0
    with pytest.raises(TTSError) as caught:
        async for chunk in service.tts.synthesize_stream(TEXT):
            heard += len(chunk.data)
    assert 0.6 * whole < heard < whole and caught.value.may_pass


@pytest.mark.parametrize("service", DASHSCOPE[:2], indirect=True, ids=str)
async def test_a_socket_is_kept_from_one_fragment_to_the_next_and_not_after_one_that_was_cut(service: Service) -> None:
    assert isinstance(service.server, QwenRealtime | DashScopeVoices)
    await service.speak()
    await service.speak("Another one.")
    assert service.server.sockets == 1
    await service.speak(voice="Ethan")
    assert service.server.sockets == 1 + isinstance(service.server, QwenRealtime)  # a session of its is one voice's
    opened = service.server.sockets
    service.server.faults = [Fault(endless=True, drip_s=0.005)]
    async with aclosing(service.tts.synthesize_stream(TEXT, "Ethan")) as chunks:
        await anext(chunks)
    pcm, _ = await service.speak(voice="Ethan")
    assert service.server.sockets == opened + 1
    assert len(pcm) == len(tone(TEXT, 24_000))  # none of what was cut


@pytest.mark.parametrize("service", DASHSCOPE[:2], indirect=True, ids=str)
async def test_a_kept_socket_that_the_service_closes_costs_no_sentence(service: Service) -> None:
    """Whether its end was seen before the next sentence, or is by it."""

    async def load(name: str) -> TTSAdapter:
        return service.tts

    assert isinstance(service.server, QwenRealtime | DashScopeVoices)
    told: list[dict[str, Any]] = []
    await service.speak()
    assert service.server.latest is not None
    await service.server.latest.close()
    turn = TurnVoice(
        VoiceChain(service.settings, load, "piper"),
        Wanted(service.case.provider),
        lambda event, data: told.append(data),
    )
    heard = [chunk async for chunk in turn.speak(TEXT)]
    assert sum(len(chunk.data) for chunk in heard) == len(tone(TEXT, 24_000))
    assert service.server.sockets == 2
    assert "fallback" not in {data["stage"] for data in told}

"""Where a model's server is, what is said of it, and what is told when it is not there."""

from __future__ import annotations

import re

import pytest

from opentalking.config import Settings
from opentalking.models.adapter import ModelError
from opentalking.models.remote.endpoint import Endpoint, find_endpoint, probe
from tests.support.node import free_port
from tests.support.strict_server import KEY, StrictServer


def omnirt(model: str = "wav2lip", **settings: str) -> Endpoint:
    return find_endpoint(model, "omnirt", Settings(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"omnirt_endpoint": "http://box:9000"}, "ws://box:9000/v1/audio2video/wav2lip"),
        ({"omnirt_endpoint": "https://box/base/"}, "wss://box/base/v1/audio2video/wav2lip"),
        (
            {"omnirt_endpoint": "ws://box", "omnirt_audio2video_path_template": "/faces/{model}/live"},
            "ws://box/faces/wav2lip/live",
        ),
        (
            {"omnirt_endpoint": "ws://box", "omnirt_audio2video_path_template": "/v1/audio2video/portrait"},
            "ws://box/v1/audio2video/portrait",
        ),
    ],
)
def test_a_models_address_is_the_endpoint_and_the_path(settings: dict[str, str], url: str) -> None:
    assert omnirt(**settings).url == url


def test_the_list_of_models_is_asked_by_http() -> None:
    assert omnirt(omnirt_endpoint="wss://box").models_url == "https://box/v1/audio2video/models"


@pytest.mark.parametrize(
    ("model", "backend", "setting"),
    [
        ("musetalk", "omnirt", "OPENTALKING_OMNIRT_ENDPOINT"),
        ("flashtalk", "direct_ws", "OPENTALKING_FLASHTALK_WS_URL"),
        ("flashhead", "direct_ws", "OPENTALKING_FLASHHEAD_WS_URL"),
    ],
)
def test_what_is_not_configured_names_the_setting(model: str, backend: str, setting: str) -> None:
    with pytest.raises(ModelError, match=f"{model} runs on another machine: set {setting}, e.g. ") as caught:
        find_endpoint(model, backend, Settings())
    assert caught.value.reason == "not_configured"


@pytest.mark.parametrize("address", ["box:8765", "ftp://box", "http://", "http://box:port"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ModelError, match="OPENTALKING_OMNIRT_ENDPOINT: not an address like") as caught:
        omnirt(omnirt_endpoint=address)
    assert caught.value.reason == "not_configured"


def test_keys_are_sent_and_not_shown() -> None:
    endpoint = omnirt(omnirt_endpoint="http://me:word@box", omnirt_api_key="hunter2")
    assert endpoint.headers == {"Authorization": "Bearer hunter2"}
    assert "hunter2" not in repr(endpoint)
    assert endpoint.shown == "ws://box/v1/audio2video/wav2lip"
    direct = find_endpoint("flashtalk", "direct_ws", Settings(flashtalk_ws_url="ws://a/x?key=1", omnirt_api_key="k"))
    assert (direct.headers, direct.shown) == ({}, "ws://a/x")  # the key is for the other machine


async def test_a_server_is_there_or_the_reason_is_told() -> None:
    server = StrictServer()
    server.start()
    try:
        await probe(omnirt(omnirt_endpoint=server.base, omnirt_api_key=KEY))
        direct = Settings(flashtalk_ws_url=f"ws://{server.address}")
        await probe(find_endpoint("flashtalk", "direct_ws", direct))
        assert server.connections == 0  # a server of one session is not kept busy by looking
        for wrong, complaint in (
            (omnirt(omnirt_endpoint=server.base, omnirt_api_key="no"), "refuses our key .* OPENTALKING_OMNIRT_API_KEY"),
            (omnirt("musetalk", omnirt_endpoint=server.base), "has no musetalk; it serves flashtalk, wav2lip"),
            (omnirt(omnirt_endpoint=server.base, omnirt_audio2video_models_path="/other"), "models with HTTP 404"),
        ):
            with pytest.raises(ModelError, match=complaint) as caught:
                await probe(wrong)
            assert caught.value.reason == "omnirt_unavailable"
    finally:
        server.stop()


async def test_a_server_that_is_not_there_is_said_to_be_unavailable() -> None:
    for endpoint, reason in (
        (omnirt(omnirt_endpoint=f"http://127.0.0.1:{free_port()}"), "omnirt_unavailable"),
        (
            find_endpoint("flashhead", "direct_ws", Settings(flashhead_ws_url=f"ws://127.0.0.1:{free_port()}")),
            "direct_ws_unavailable",
        ),
    ):
        with pytest.raises(ModelError, match=re.escape(endpoint.shown) + " cannot be reached") as caught:
            await probe(endpoint)
        assert caught.value.reason == reason

"""What every endpoint says when the request is not one: the same shape, before anything is done."""

from __future__ import annotations

import gzip
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import create_app
from opentalking.store import Store, client
from tests.api_client import API_SETTINGS, Api
from tests.redis_server import RedisServer

WITH_BODY = ["/sessions", "/sessions/{id}/speak", "/sessions/{id}/chat", "/sessions/{id}/webrtc/offer"]
OF_A_SESSION = [
    ("GET", ""),
    ("DELETE", ""),
    ("GET", "/events"),
    ("POST", "/start"),
    ("POST", "/interrupt"),
    ("POST", "/speak"),
    ("POST", "/chat"),
    ("POST", "/webrtc/offer"),
]
ANY_BODY = {"text": "a", "sdp": "v=0", "type": "offer"}
JSON = {"Content-Type": "application/json"}


async def problem(response: aiohttp.ClientResponse) -> tuple[int, str, str]:
    answer = await response.json()
    assert set(answer) == {"detail", "code"}
    assert response.content_type == "application/json"
    return response.status, answer["code"], answer["detail"]


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(("method", "rest"), OF_A_SESSION)
async def test_an_unknown_session_is_404(api: Api, prefix: str, method: str, rest: str) -> None:
    body = ANY_BODY if method == "POST" else None
    async with api.client.request(method, f"{prefix}/sessions/sess_nope{rest}", json=body) as response:
        assert await problem(response) == (404, "session_not_found", "session sess_nope not found")


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize(
    ("raw", "status", "code", "detail"),
    [
        (b"{", 400, "invalid_json", "body: Input data was truncated"),
        (b"", 400, "invalid_json", "body: Input data was truncated"),
        (b'{"a": nope}', 400, "invalid_json", "body: JSON is malformed: invalid character (byte 7)"),
        (b'"text"', 422, "invalid_field", "body: Expected `object`, got `str`"),
        (b"[]", 422, "invalid_field", "body: Expected `object`, got `array`"),
    ],
)
async def test_what_is_not_a_json_object_is_refused(
    api: Api, path: str, raw: bytes, status: int, code: str, detail: str
) -> None:
    session_id = await api.new_session(ready=True)
    async with api.client.post(path.format(id=session_id), data=raw, headers=JSON) as response:
        assert await problem(response) == (status, code, detail)


@pytest.mark.parametrize("path", WITH_BODY)
async def test_what_is_not_utf_8_is_refused(api: Api, path: str) -> None:
    session_id = await api.new_session(ready=True)
    raw = b'{"text": "\xff", "prompt": "\xff", "avatar_id": "\xff", "sdp": "\xff", "type": "offer"}'
    async with api.client.post(path.format(id=session_id), data=raw, headers=JSON) as response:
        assert (await problem(response))[:2] == (400, "invalid_json")


@pytest.mark.parametrize("path", WITH_BODY)
@pytest.mark.parametrize("how", ["announced", "chunked", "compressed"])
async def test_a_body_that_is_too_large_is_refused_before_it_is_parsed(api: Api, path: str, how: str) -> None:
    session_id = await api.new_session(ready=True)
    raw = b"{" + b" " * 4000  # not JSON either: had it been parsed, the answer were 400

    async def pieces():  # type: ignore[no-untyped-def]
        for start in range(0, len(raw), 500):
            yield raw[start : start + 500]

    if how == "compressed":
        request = api.client.post(
            path.format(id=session_id), data=gzip.compress(raw), headers=JSON | {"Content-Encoding": "gzip"}
        )
    else:
        data = pieces() if how == "chunked" else raw
        request = api.client.post(path.format(id=session_id), data=data, headers=JSON)
    async with request as response:
        assert await problem(response) == (413, "body_too_large", "body: larger than 2048 bytes")


async def test_a_body_of_exactly_the_limit_is_read(api: Api) -> None:
    raw = b'{"avatar_id": "presenter"}'.ljust(2048)
    async with api.client.post("/sessions", data=raw, headers=JSON) as response:
        assert response.status == 200


async def test_an_unknown_path_and_a_wrong_method_have_the_same_shape(api: Api) -> None:
    async with api.client.get("/nowhere") as response:
        assert await problem(response) == (404, "not_found", "GET /nowhere: not found")
    async with api.client.put("/sessions") as response:
        assert await problem(response) == (405, "method_not_allowed", "PUT /sessions: method not allowed")
        assert set(response.headers["Allow"].split(",")) == {"GET", "POST"}


async def test_a_form_from_a_foreign_page_is_refused_and_one_from_a_shell_is_not(api: Api) -> None:
    raw, text = b'{"avatar_id": "presenter"}', {"Content-Type": "text/plain"}
    async with api.client.post("/sessions", data=raw, headers=text | {"Origin": "http://evil.test"}) as response:
        detail = "body: send application/json, not text/plain"
        assert await problem(response) == (415, "unsupported_media_type", detail)
    async with api.client.post("/sessions", data=raw, headers=text) as response:
        assert response.status == 200


async def test_only_origins_from_the_settings_may_call(api: Api) -> None:
    for origin, allowed in (("http://friend.test", "http://friend.test"), ("http://evil.test", None)):
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        async with api.client.options("/sessions", headers=asks) as response:
            assert response.status == 204
            assert response.headers.get("Access-Control-Allow-Origin") == allowed
            assert ("Access-Control-Allow-Methods" in response.headers) == (allowed is not None)
        async with api.client.get("/sessions/sess_nope", headers={"Origin": origin}) as response:
            assert response.status == 404
            assert response.headers.get("Access-Control-Allow-Origin") == allowed
            assert response.headers["Vary"] == "Origin"


async def test_a_fault_of_ours_is_500_and_tells_no_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(session_id: str) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr(api.store, "get_session", broken)
    async with api.client.get("/sessions/sess_1") as response:
        status, code, detail = await problem(response)
    assert (status, code) == (500, "internal")
    assert "inside" not in detail
    assert "inside" in caplog.text


async def test_the_log_has_no_bodies(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    session_id = await api.new_session()
    await api.post(f"/sessions/{session_id}/speak", {"text": "a very private line"})
    assert f"POST /sessions/{session_id}/speak 200" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("path", ["/healthz", "/sessions", "/sessions/sess_1", "/models", "/metrics"])
async def test_without_redis_the_answer_is_503_in_bounded_time(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RETRY_S", 0.1)
    server = RedisServer(tmp_path)
    server.start()
    store = await Store.connect(server.url)
    async with TestClient(TestServer(create_app(API_SETTINGS, store))) as http:
        server.stop()
        async with http.get(path) as response:
            assert await problem(response) == (503, "store_unavailable", "Redis does not answer")
            assert response.headers["Retry-After"] == "1"
    await store.close()

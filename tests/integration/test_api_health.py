"""Health, metrics, the page, and the description of it all."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.openapi import public_path
from api.routes import page
from opentalking.store import ROLES, Store
from tests.api_client import API_SETTINGS, LIVES_S, Api, beat


async def samples(api: Api) -> dict[tuple[str, ...], float]:
    async with api.client.get("/metrics") as response:
        assert response.status == 200
        text = await response.text()
    families = text_string_to_metric_families(text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


async def test_alive(api: Api) -> None:
    assert await api.get("/healthz") == (200, {"status": "ok"})


async def test_health_tells_providers_defaults_and_workers_but_no_secret(api: Api) -> None:
    status, answer = await api.get("/health")
    assert (status, answer["status"], answer["ready"]) == (200, "ok", True)
    assert answer["llm"] == {
        "provider": "openai",
        "model": "tiny",
        "embedded": True,
        "key_set": False,
        "base_url": "http://l/v1",
    }
    assert answer["tts"]["piper"] == {"available": True, "reason": ""}
    assert (answer["default_avatar"], answer["default_model"]) == ("presenter", "portrait")
    assert [worker["worker"] for worker in answer["workers"]] == [f"a:{role}-1" for role in sorted(ROLES)]
    assert (await api.get("/runtime/status"))[1] == answer


async def test_health_without_workers_says_what_the_settings_say_and_not_ready(api: Api) -> None:
    for role in ROLES:
        await api.store.forget_worker(f"a:{role}-1")
    _, answer = await api.get("/health")
    assert (answer["ready"], answer["workers"], answer["tts"]) == (False, [], {})
    assert answer["llm"] == {"provider": "openai", "model": "tiny", "embedded": True, "key_set": False}


async def test_metrics_count_requests_by_route_not_by_path(api: Api) -> None:
    session_id = await api.new_session()
    await api.get(f"/sessions/{session_id}")
    await api.get(f"/api/sessions/{session_id}")
    await api.get("/sessions/sess_nope")
    await api.get("/nowhere/at/all")
    found = await samples(api)
    name = "opentalking_http_requests_total"
    assert found[(name, "GET", "/sessions/{session_id}", "200")] == 2
    assert found[(name, "GET", "/sessions/{session_id}", "404")] == 1
    assert found[(name, "GET", "unknown", "404")] == 1
    assert found[("opentalking_http_request_seconds_count", "/sessions/{session_id}")] == 3


async def test_metrics_show_sessions_workers_and_last_turns_as_redis_has_them_now(api: Api) -> None:
    session_id, other = await api.new_session(), await api.new_session()
    await api.store.set_state(session_id, "speaking")
    await api.store.set_last_turn(session_id, {"generation": 1, "kind": "chat", "first_rtp_ms": 412.5})
    found = await samples(api)
    assert found[("opentalking_sessions", "speaking")] == 1
    assert found[("opentalking_sessions", "created")] == 1
    assert [found[("opentalking_workers", role)] for role in ROLES] == [1, 1, 1]
    assert found[("opentalking_last_turn_ms", session_id, "first_rtp")] == 412.5
    for ended in (session_id, other):
        await api.delete(f"/sessions/{ended}")
    found = await samples(api)
    assert found[("opentalking_sessions", "speaking")] == 0
    assert ("opentalking_last_turn_ms", session_id, "first_rtp") not in found


async def test_metrics_show_each_sessions_rings_and_playout_as_its_workers_last_told(api: Api) -> None:
    rings, playout = {"pcm": 7, "av": 3}, {"clock_stalls": 2, "clock_stalled_ms": 61.5}
    await api.store.beat(beat("a", "inference", info={"rings": {"sess_1": rings}}), LIVES_S)
    await api.store.beat(beat("a", "rtc", info={"playouts": {"sess_1": playout}}), LIVES_S)
    found = await samples(api)
    assert {name: found[("opentalking_ring_slots", name, "sess_1")] for name in rings} == rings
    assert {name: found[("opentalking_playout", name, "sess_1")] for name in playout} == playout
    await api.store.beat(beat("a", "inference", info={"rings": {}}), LIVES_S)
    assert ("opentalking_ring_slots", "pcm", "sess_1") not in await samples(api)


async def test_the_page_and_its_files_are_served_and_nothing_beside_them(
    api: Api, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>OpenTalking</title>")
    (folder / "app.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    monkeypatch.setattr(page, "STATIC", folder)
    async with api.client.get("/") as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "OpenTalking" in await response.text()
    async with api.client.get("/static/app.js") as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")
        etag = response.headers["ETag"]
    async with api.client.get("/static/app.js", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    for outside in ("/static/nothing.js", "/static/..%2Fsecret.txt", "/static/link.txt", "/static/%2Fetc/passwd"):
        status, answer = await api.get(outside)
        assert (status, answer["code"]) == (404, "not_found")


async def test_everything_documented_is_served_and_everything_served_is_documented(api: Api, store: Store) -> None:
    _, document = await api.get("/openapi.json")
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    served = {
        (route.method, public_path(route.resource.canonical))
        for route in create_app(API_SETTINGS, store).router.routes()
        if route.resource is not None
    }
    prefixed = {(method, path) for method, path in served if path.startswith("/api/")}
    assert served - prefixed == documented
    of_the_page = {("GET", "/"), ("GET", "/static/{path}")}
    assert {(method, path.removeprefix("/api")) for method, path in prefixed} == documented - of_the_page
    for method, path in sorted(documented):
        if path.endswith("/events") or method == "POST":
            continue
        async with api.client.request(method, path.replace("{", "").replace("}", "")) as response:
            assert str(response.status) in document["paths"][path][method.lower()]["responses"], (method, path)


async def test_every_reference_of_the_document_leads_somewhere(api: Api) -> None:
    _, document = await api.get("/openapi.json")
    schemas = document["components"]["schemas"]

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [found for item in value.values() for found in references(item)]
        return [found for item in value for found in references(item)] if isinstance(value, list) else []

    found = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert found <= set(schemas)
    assert {"CreateSession", "SpeakBody", "ChatBody", "OfferBody", "Problem"} <= found
    create = schemas["CreateSession"]
    assert create["required"] == ["avatar_id"]

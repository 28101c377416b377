"""Avatars, models and voices, as the pickers see them."""

from __future__ import annotations

from tests.api_client import LIVES_S, Api, beat


async def test_avatars_are_listed_with_the_fields_of_the_wire_contract(api: Api) -> None:
    status, answer = await api.get("/avatars")
    assert status == 200
    assert [avatar["id"] for avatar in answer] == ["drawn", "ingrid", "presenter", "samuel"]
    assert answer[2] == {
        "id": "presenter",
        "name": "Presenter",
        "model_type": "portrait",
        "width": 512,
        "height": 512,
        "person_mode": "single",
        "is_custom": False,
        "has_preview_video": False,
        "matting_status": "unknown",
        "duo_dialog": None,
        "client_renderer": None,
    }
    assert (await api.get("/avatars/presenter"))[1] == answer[2]


async def test_an_avatar_has_a_picture(api: Api) -> None:
    async with api.client.get("/api/avatars/presenter/preview") as response:
        assert (response.status, response.content_type) == (200, "image/png")
        assert (await response.read()).startswith(b"\x89PNG")


UNMEASURED = {"backend": "local", "detail": "", "frame_ms": None, "batched_frame_ms": None, "max_sessions": None}


async def test_an_unknown_avatar_is_404_wherever_it_is_named(api: Api) -> None:
    for path in ("/avatars/nobody", "/avatars/nobody/preview", "/avatars/..%2F..%2Fetc/preview"):
        status, answer = await api.get(path)
        assert (status, answer["code"]) == (404, "avatar_not_found")


async def test_models_are_what_the_inference_workers_say(api: Api) -> None:
    status, answer = await api.get("/models")
    assert (status, answer["default_model"]) == (200, "portrait")
    assert answer["models"] == [one["id"] for one in answer["statuses"]]
    assert answer["statuses"][answer["models"].index("portrait")] == {
        "id": "portrait",
        "connected": True,
        "reason": "local_runtime",
        **UNMEASURED,
    }


async def test_one_worker_that_can_serve_a_model_is_enough(api: Api) -> None:
    broken = {"models": [{"id": "portrait", "connected": False, "reason": "no weights"}, {"id": "extra"}]}
    await api.store.beat(beat("a", "inference", 2, info=broken), LIVES_S)
    _, answer = await api.get("/models")
    connected = {status["id"]: status["connected"] for status in answer["statuses"]}
    assert (connected["extra"], connected["portrait"]) == (False, True)


async def test_a_model_that_no_worker_speaks_of_is_known_but_not_connected(api: Api) -> None:
    await api.store.forget_worker("a:inference-1")
    _, answer = await api.get("/models")
    silent = {"id": "portrait", "connected": False, "reason": "not_loaded", **UNMEASURED}
    assert silent in answer["statuses"]


async def test_voices_are_listed_and_filtered(api: Api) -> None:
    row = {
        "id": "piper:joe",
        "provider": "piper",
        "voice_id": "joe",
        "display_label": "Joe",
        "language": "en-US",
        "user_id": "",
        "target_model": "",
        "source": "builtin",
    }
    assert await api.get("/voices") == (200, {"items": [row]})
    assert await api.get("/voices?provider=piper") == (200, {"items": [row]})
    assert await api.get("/voices?provider=parrot") == (200, {"items": []})

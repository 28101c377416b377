"""Photos become avatars over HTTP, what is refused leaves nothing, and what was made goes away again."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psutil
import pytest

from api.tidying import finish_deletions
from opentalking.config import Settings
from tests import portraits
from tests.api_client import API_SETTINGS, Api

CONSENT = {"name": "Ada Lovelace", "consent": "true"}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


def left(run_dir: Path) -> list[str]:
    """Every file and folder that an upload could leave behind."""
    return sorted(
        str(path.relative_to(run_dir))
        for path in run_dir.rglob("*")
        if path.name not in (".incoming", ".leaving") and path != run_dir / "avatars"
    )


def form(content: bytes | None, field: str = "image", **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData({**CONSENT, **fields}, default_to_multipart=True)
    if content is not None:
        made.add_field(field, content, filename="photo", content_type="application/octet-stream")
    return made


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def upload(api: Api, body: aiohttp.FormData, **headers: str) -> tuple[int, Any]:
    async with api.client.post("/avatars/custom", data=body, headers=headers) as response:
        return response.status, await response.json()


async def test_a_photo_becomes_an_avatar_is_listed_shown_and_deleted(api: Api, run_dir: Path) -> None:
    before = (await api.get("/avatars"))[1]
    photo = portraits.presenter()
    status, made = await upload(api, form(portraits.jpeg(photo), user_id="u1"))
    assert status == 200, made
    assert made["id"].startswith("custom-ada-lovelace-")
    assert (made["name"], made["model_type"], made["is_custom"]) == ("Ada Lovelace", "portrait", True)
    assert (await api.get("/avatars"))[1] == [*before, made]
    async with api.client.get(f"/avatars/{made['id']}/preview") as response:
        assert (await response.read()).startswith(b"\x89PNG")
    manifest = json.loads((run_dir / "avatars" / made["id"] / "manifest.json").read_text())
    assert manifest["metadata"]["consent"]["by"] == "u1 from 127.0.0.1"
    assert [path for path in left(run_dir) if path.startswith("cache/portrait/")], "the rig is there before a session"
    assert await api.delete(f"/avatars/{made['id']}") == (200, {"avatar_id": made["id"], "status": "deleted"})
    assert (await api.get("/avatars"))[1] == before
    assert [path for path in left(run_dir) if made["id"] in path] == []
    assert (await api.delete(f"/avatars/{made['id']}"))[0] == 404


async def test_what_a_session_shows_stays_on_the_disk_until_the_session_ends(api: Api, run_dir: Path) -> None:
    made = (await upload(api, form(portraits.jpeg(portraits.presenter()))))[1]["id"]
    sessions = [await api.new_session(avatar_id=made), await api.new_session(avatar_id=made)]
    assert (await api.delete(f"/avatars/{made}"))[0] == 200
    assert made not in [avatar["id"] for avatar in (await api.get("/avatars"))[1]]
    for again in (
        api.get(f"/avatars/{made}"),
        api.delete(f"/avatars/{made}"),
        api.post("/sessions", {"avatar_id": made}),
    ):
        status, told = await again
        assert (status, told["code"]) == (404, "avatar_not_found")
    for session_id in sessions:
        await finish_deletions(msgspec.structs.replace(API_SETTINGS, run_dir=str(run_dir)), api.store)
        assert (run_dir / "avatars" / ".leaving" / made / "manifest.json").is_file()
        assert [path for path in left(run_dir) if path.startswith(f"cache/portrait/{made}")]
        assert (await api.delete(f"/sessions/{session_id}"))[0] == 200
    await until(lambda: not [path for path in left(run_dir) if made in path])


async def test_a_refused_photo_is_answered_with_a_report_and_leaves_nothing(api: Api, run_dir: Path) -> None:
    status, told = await upload(api, form(portraits.png(portraits.no_face())))
    assert (status, told["code"]) == (400, "no_face")
    assert told["detail"].startswith("no face was found")
    assert told["report"]["verdict"] == "refuse"
    assert told["report"]["findings"][0]["code"] == "no_face"
    assert left(run_dir) == []


async def test_progress_is_told_as_events(api: Api) -> None:
    events = []
    body = form(portraits.jpeg(portraits.presenter()))
    async with api.client.post("/avatars/custom", data=body, headers={"Accept": "text/event-stream"}) as response:
        assert response.content_type == "text/event-stream"
        for frame in (await response.text()).strip().split("\n\n"):
            event, _, data = frame.partition("\n")
            events.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    assert [name for name, _ in events[:-1]] == ["progress"] * (len(events) - 1)
    stages = [payload["stage"] for _, payload in events[:-1]]
    assert stages == ["reading", "looking", "framing", "preparing", "done"]
    name, payload = events[-1]
    assert (name, payload["report"]["verdict"]) == ("done", "ok")
    assert (await api.get(f"/avatars/{payload['avatar']['id']}"))[1] == payload["avatar"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"consent": ""}, 422, "consent_required"),
        ({"consent": "false"}, 422, "consent_required"),
        ({"name": ""}, 422, "invalid_field"),
        ({"name": "x" * 65}, 422, "invalid_field"),
        ({"name": "a\0b"}, 422, "invalid_field"),
        ({"user_id": "a\0b"}, 422, "invalid_field"),
        ({"model": "nobody"}, 400, "unknown_model"),
        ({"base_avatar_id": "../etc"}, 404, "avatar_not_found"),
        ({"person_mode": "double"}, 400, "person_mode_unsupported"),
        ({"remove_background": "true"}, 400, "background_unsupported"),
    ],
)
async def test_what_cannot_be_done_is_said_before_anybody_looks_at_the_picture(
    api: Api, run_dir: Path, fields: dict[str, str], status: int, code: str
) -> None:
    found, told = await upload(api, form(b"any", **fields))
    assert (found, told["code"]) == (status, code), told
    assert left(run_dir) == []


async def test_a_form_without_one_file_is_refused(api: Api, run_dir: Path) -> None:
    both = form(b"x")
    both.add_field("video", b"y", filename="v")
    for body, code in ((form(None), "file_missing"), (form(b""), "file_empty"), (both, "one_file_only")):
        status, told = await upload(api, body)
        assert (status, told["code"]) == (400, code)
    async with api.client.post("/avatars/custom", json={}) as response:
        assert response.status == 415
    assert left(run_dir) == []


async def test_too_large_a_photo_is_refused_while_it_arrives(api: Api, run_dir: Path) -> None:
    most = Settings().max_avatar_image_bytes
    status, told = await upload(api, form(b"\x89PNG" + bytes(most)))
    assert (status, told["code"]) == (413, "body_too_large")
    assert left(run_dir) == []


async def test_an_upload_that_is_broken_off_leaves_nothing(api: Api, run_dir: Path) -> None:
    url = api.client.make_url("/avatars/custom")
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    writer.write(
        b"POST /avatars/custom HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + head + bytes(300_000)
    )
    await writer.drain()
    uploads = run_dir / "avatars" / ".incoming"
    await until(lambda: any(uploads.glob("*/upload")))
    writer.close()
    await until(lambda: not any(uploads.iterdir()))
    assert left(run_dir) == []


async def test_a_process_that_is_killed_while_it_makes_one_leaves_nothing(api: Api, run_dir: Path) -> None:
    body = form(portraits.png(portraits.presenter()))
    uploading = asyncio.create_task(upload(api, body))
    await until(lambda: any((run_dir / "avatars" / ".incoming").glob("*/custom-*/manifest.json")))
    builds = [child for child in psutil.Process().children() if "avatar" in child.cmdline()]
    for build in builds:
        build.kill()
    status, told = await uploading
    assert (len(builds), status, told["code"]) == (1, 500, "internal")
    assert left(run_dir) == [name for name in left(run_dir) if name in ("cache", "cache/idle", "cache/portrait")]


@pytest.fixture
def half_an_upload(run_dir: Path) -> Path:
    """What an API process has left that was killed while a photo arrived."""
    path = run_dir / "avatars" / ".incoming" / "tmpx" / "upload"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    return path


async def test_what_a_killed_api_process_has_left_goes_when_the_next_one_starts(
    half_an_upload: Path, api: Api, run_dir: Path
) -> None:
    await until(lambda: not half_an_upload.parent.exists())
    assert left(run_dir) == []


async def test_a_full_disk_is_said(api: Api, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("api.upload._copy", fail)
    status, told = await upload(api, form(b"any"))
    assert (status, told["code"]) == (507, "disk_full")
    assert told["detail"] == "the server cannot keep it: No space left on device"
    assert left(run_dir) == []


LIMIT = msgspec.structs.replace(API_SETTINGS, max_custom_avatars=1)


@pytest.mark.parametrize("api_settings", [LIMIT])
async def test_no_more_avatars_are_made_than_there_may_be(api: Api, run_dir: Path) -> None:
    photo = portraits.jpeg(portraits.presenter())
    status, made = await upload(api, form(photo))
    assert status == 200, made
    before = left(run_dir)
    status, told = await upload(api, form(photo))
    assert (status, told["code"]) == (507, "avatars_full")
    assert told["detail"].startswith("1 of 1 avatars that may be made are there (OPENTALKING_MAX_CUSTOM_AVATARS)")
    status, told = await upload(api, form(photo), Accept="text/event-stream")
    assert (status, told["code"]) == (507, "avatars_full")
    assert left(run_dir) == before
    await api.delete(f"/avatars/{made['id']}")
    assert (await upload(api, form(photo)))[0] == 200


@pytest.mark.parametrize("api_settings", [msgspec.structs.replace(API_SETTINGS, max_custom_avatars_bytes=1_000_000)])
async def test_one_that_turns_out_too_large_is_refused_with_its_size(api: Api, run_dir: Path) -> None:
    photo = portraits.jpeg(portraits.presenter())
    status, told = await upload(api, form(photo))
    assert (status, told["code"]) == (507, "avatars_full"), told
    assert "take 0.0 MB of the disk and may take 1.0 MB" in told["detail"]
    assert "this one needs" in told["detail"]
    async with api.client.post(
        "/avatars/custom", data=form(photo), headers={"Accept": "text/event-stream"}
    ) as response:
        *_, event = (await response.text()).strip().split("\n\n")
    assert event.startswith('event: error\ndata: {"code":"avatars_full"')
    assert [path for path in left(run_dir) if "custom" in path] == []


async def test_whoever_stops_following_the_progress_has_ended_the_work(api: Api, run_dir: Path) -> None:
    body = form(portraits.png(portraits.presenter()))
    async with api.client.post("/avatars/custom", data=body, headers={"Accept": "text/event-stream"}) as response:
        assert await response.content.readuntil(b"\n\n")
        response.close()
    await until(lambda: left(run_dir) == [])
    assert not any(avatar["is_custom"] for avatar in (await api.get("/avatars"))[1])


async def test_built_in_avatars_stay(api: Api) -> None:
    status, told = await api.delete("/avatars/presenter")
    assert (status, told["code"]) == (403, "avatar_protected")
    assert (await api.get("/avatars/presenter"))[0] == 200
    assert (await api.delete("/avatars/..%2F..%2Fetc"))[0] == 404


async def test_another_sites_page_may_not_make_avatars(api: Api) -> None:
    status, told = await upload(api, form(b"x"), Origin="http://stranger.test")
    assert (status, told["code"]) == (403, "foreign_origin")
    friend = API_SETTINGS.cors_origins
    assert (await upload(api, form(b"x"), Origin=friend))[1]["code"] == "not_an_image"


async def test_an_avatar_is_made_ready_for_a_model(api: Api, run_dir: Path) -> None:
    assert await api.post("/avatars/presenter/prewarm", {}) == (
        200,
        {"avatar_id": "presenter", "model": "portrait", "status": "ready"},
    )
    assert [path for path in left(run_dir) if path.startswith("cache/portrait/presenter-")]
    assert (await api.post("/avatars/nobody/prewarm", {}))[0] == 404
    assert (await api.post("/avatars/presenter/prewarm", {"model": "nobody"}))[1]["code"] == "unknown_model"

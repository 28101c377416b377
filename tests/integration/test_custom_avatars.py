"""A made avatar on a real node: workers find it without a restart, and a session outlives it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests import portraits
from tests.integration.crashing import speaks_again, worker_of
from tests.integration.tones import eventually
from tests.support.client import Client
from tests.support.footprint import ghosts
from tests.support.node import Node


def ghosts_of(node: Node) -> dict[str, int]:
    """Processes that map clips which were deleted, and how many."""
    found = {role: ghosts(node, process) for role, process in node.processes().items()}
    return {role: count for role, count in found.items() if count}


async def made(user: Client, base: str) -> str:
    form = aiohttp.FormData({"name": "Ada", "consent": "true"})
    form.add_field("image", portraits.jpeg(portraits.presenter()), filename="ada.jpg")
    async with user.http.post(base + "/avatars/custom", data=form) as response:
        avatar = await response.json()
        assert response.status == 200, avatar
        return str(avatar["id"])


async def test_a_photo_speaks_and_a_session_goes_on_when_its_avatar_is_deleted(node: Node) -> None:
    async with Client(node.base) as user:
        avatar_id = await made(user, node.base)
        await user.create(avatar_id=avatar_id, model="portrait")
        await user.connect()
        await user.call("POST", "/speak", {"text": "One."})
        await user.events.wait("speech.ended")
        await user.request("DELETE", f"/avatars/{avatar_id}")
        await user.call("POST", "/speak", {"text": "Two."})
        await user.events.wait("speech.ended", lambda ended: ended["generation"] == 2)
        await user.request("GET", f"/avatars/{avatar_id}", allow=(404,))
    await eventually(lambda: not ghosts_of(node), "no process maps it any more")


async def test_a_session_whose_avatar_is_deleted_survives_its_workers_and_its_files_go_with_it(pair: Node) -> None:
    async with Client(pair.base) as user:
        avatar_id = await made(user, pair.base)
        await user.create(avatar_id=avatar_id, model="portrait")
        await user.connect()
        await user.request("DELETE", f"/avatars/{avatar_id}")
        for role in ("inference", "rtc"):
            pair.processes()[await worker_of(user, role)].kill()
        await user.reconnect()
        await speaks_again(user)
        clip = Path((await user.call("GET", ""))["idle_clip"])
        await eventually(clip.is_file, "it is there while the session is")
        await user.call("DELETE", "")
        await eventually(lambda: not clip.exists(), "the clip goes when the session has ended")
        await eventually(lambda: not ghosts_of(pair), "no process maps it any more")


async def test_an_upload_that_the_api_was_killed_over_leaves_a_whole_avatar_or_nothing(pair: Node) -> None:
    place, api = pair.run_dir / "avatars" / ".incoming", pair.processes()["api"]
    before = kept(pair)
    async with Client(pair.base) as user:
        uploading = asyncio.create_task(made(user, pair.base))
        await eventually(lambda: any(place.glob("*/custom-*/reference.png")), "the avatar grows")
        api.kill()
        with pytest.raises(aiohttp.ClientError):
            await uploading
    await eventually(lambda: not any(place.iterdir()), "nothing half-made is left")
    await eventually(lambda: pair.processes().get("api", api) != api, "supervisord has the API back")
    whole = {path.parent.name for path in place.parent.glob("custom-*/manifest.json")}
    assert {path.name for path in place.parent.glob("custom-*")} == whole
    assert [name for name in kept(pair) - before if not any(avatar_id in name for avatar_id in whole)] == []


def kept(node: Node) -> set[str]:
    """What is in the cache of avatars that were made."""
    return {path.name for path in (node.run_dir / "cache").glob("*/*custom-ada-*")}

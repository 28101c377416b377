"""A made avatar on a real node: workers find it without a restart, and a session outlives it."""

from __future__ import annotations

import aiohttp

from tests import portraits
from tests.support.client import Client
from tests.support.node import Node


async def test_a_photo_speaks_and_a_session_goes_on_when_its_avatar_is_deleted(node: Node) -> None:
    async with Client(node.base) as user:
        form = aiohttp.FormData({"name": "Ada", "consent": "true"})
        form.add_field("image", portraits.jpeg(portraits.presenter()), filename="ada.jpg")
        async with user.http.post(node.base + "/avatars/custom", data=form) as response:
            avatar = await response.json()
            assert response.status == 200, avatar
        await user.create(avatar_id=avatar["id"], model="portrait")
        await user.connect()
        await user.call("POST", "/speak", {"text": "One."})
        await user.events.wait("speech.ended")
        await user.request("DELETE", f"/avatars/{avatar['id']}")
        await user.call("POST", "/speak", {"text": "Two."})
        await user.events.wait("speech.ended", lambda ended: ended["generation"] == 2)
        await user.request("GET", f"/avatars/{avatar['id']}", allow=(404,))

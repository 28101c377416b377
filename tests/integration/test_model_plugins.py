"""Models from OPENTALKING_MODEL_PLUGINS on a real node: one that works, and one that is not there."""

from __future__ import annotations

import pytest

from tests.support.client import Client
from tests.support.node import Node
from tests.support.watcher import watching

pytestmark = pytest.mark.integration


async def test_a_plugin_is_offered_and_chosen_like_the_packaged_model(node: Node) -> None:
    async with watching(node.base) as client:
        offered = await client.request("GET", "/models")
        connected = {status["id"]: status["connected"] for status in offered["statuses"]}
        assert connected == {"absent": False, "mirror": True, "portrait": True, "quicktalk": False}
        session = await client.call("GET", "")
        assert (session["model"], session["avatar_id"]) == ("mirror", "presenter")


async def test_a_plugin_that_cannot_be_imported_is_refused_with_the_reason(node: Node) -> None:
    why = "no_such_module:Absent cannot be imported: No module named 'no_such_module'"
    async with Client(node.base) as client:
        offered = await client.request("GET", "/models")
        assert [status["reason"] for status in offered["statuses"] if status["id"] == "absent"] == [why]
        body = {"avatar_id": "presenter", "model": "absent"}
        refused = await client.request("POST", "/sessions", body, allow=(400,))
        assert (refused["code"], refused["detail"]) == ("model_unavailable", f"model: absent cannot be used: {why}")

"""Models from OPENTALKING_MODEL_PLUGINS on a real node: one that works, one that is too slow, one that is not there."""

from __future__ import annotations

import re

import pytest

from tests.support.client import Client
from tests.support.node import Node
from tests.support.watcher import watching

pytestmark = pytest.mark.integration


async def test_a_plugin_is_offered_and_chosen_like_the_packaged_model(node: Node) -> None:
    async with watching(node.base) as client:
        offered = await client.request("GET", "/models")
        connected = {status["id"]: status["connected"] for status in offered["statuses"]}
        assert {name: connected[name] for name in ("absent", "mirror", "portrait", "slow")} == {
            "absent": False,
            "mirror": True,
            "portrait": True,
            "slow": False,
        }
        session = await client.call("GET", "")
        assert (session["model"], session["avatar_id"]) == ("mirror", "presenter")


async def test_a_plugin_that_cannot_be_imported_is_refused_with_the_reason(node: Node) -> None:
    why = "no_such_module:Absent cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    async with Client(node.base) as client:
        offered = await client.request("GET", "/models")
        (status,) = [status for status in offered["statuses"] if status["id"] == "absent"]
        assert (status["reason"], status["detail"]) == ("local_adapter_missing", why)
        body = {"avatar_id": "presenter", "model": "absent"}
        refused = await client.request("POST", "/sessions", body, allow=(400,))
        assert (refused["code"], refused["detail"]) == ("model_unavailable", f"model: absent cannot be used: {why}")


async def test_a_model_that_cannot_hold_its_frame_rate_here_is_refused_with_the_figures(node: Node) -> None:
    async with Client(node.base) as client:
        offered = {status["id"]: status for status in (await client.request("GET", "/models"))["statuses"]}
        told = re.fullmatch(r"it takes (\d+) ms a frame on cpu, and a frame lasts 40", offered["slow"]["detail"])
        assert told is not None and int(told[1]) >= 60
        assert (offered["slow"]["connected"], offered["slow"]["reason"]) == (False, "too_slow")
        body = {"avatar_id": "presenter", "model": "slow"}
        refused = await client.request("POST", "/sessions", body, allow=(400,))
        assert refused["code"] == "model_unavailable"
        assert refused["detail"] == f"model: slow cannot be used: {offered['slow']['detail']}"
        assert 0 < offered["mirror"]["frame_ms"] < 40 and offered["mirror"]["max_sessions"] is None

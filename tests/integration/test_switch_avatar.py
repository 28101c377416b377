"""Another avatar in a live session: the same connection, a picture of another face and size, and not a sample lost."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from tests.integration.conftest import TONES, running
from tests.integration.crashing import longest_gap_ms, lost_packets, speaks, speaks_again, worker_of
from tests.integration.tones import eventually
from tests.support.client import Client
from tests.support.node import Node

pytestmark = pytest.mark.integration

SIZES = {"presenter": (512, 512), "drawn": (512, 512), "tall": (512, 640)}
FRAME_TICKS = 90_000 // 25


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged avatars, and one of another size."""
    folder = tmp_path_factory.mktemp("avatars")
    for name in ("presenter", "drawn"):
        shutil.copytree(PACKAGED / name, folder / name)
    tall = folder / "tall"
    shutil.copytree(PACKAGED / "presenter", tall)
    manifest = json.loads((tall / "manifest.json").read_text()) | {"id": "tall", "height": 640}
    (tall / "manifest.json").write_text(json.dumps(manifest))
    picture = cv2.imread(str(tall / "reference.png"))
    assert picture is not None
    cv2.imwrite(str(tall / "reference.png"), cv2.copyMakeBorder(picture, 64, 64, 0, 0, cv2.BORDER_REPLICATE))
    return folder


@pytest.fixture(scope="module")
def node(models: Path, gallery: Path) -> Iterator[Node]:
    yield from running(Node(cache=models, OPENTALKING_AVATARS_DIR=str(gallery), **TONES))


@pytest.fixture
async def viewer(node: Node) -> AsyncIterator[Client]:
    """A connected user who looks."""
    async with Client(node.base) as client:
        client.receiver.keep_pictures = True
        await client.create()
        await client.connect()
        yield client


class Looks:
    """Tells the avatars of a folder from each other in decoded pictures."""

    def __init__(self, gallery: Path) -> None:
        self._seen = {}
        for name, (width, height) in SIZES.items():
            picture = cv2.imread(str(gallery / name / "reference.png"))
            assert picture is not None
            self._seen[name] = cv2.cvtColor(cv2.resize(picture, (width, height)), cv2.COLOR_BGR2YUV_I420)

    def of(self, picture: np.ndarray | None) -> str:
        """The avatar whose picture this is most alike."""
        assert picture is not None
        alike = {
            name: float(np.abs(picture.astype(np.int16) - seen).mean())
            for name, seen in self._seen.items()
            if seen.shape == picture.shape
        }
        return min(alike, key=lambda name: alike[name])

    def last(self, client: Client) -> str:
        return self.of(client.receiver.pictures[-1][2])


@pytest.fixture(scope="module")
def looks(gallery: Path) -> Looks:
    return Looks(gallery)


async def switch(client: Client, avatar_id: str) -> None:
    answer = await client.call("POST", "/avatar", {"avatar_id": avatar_id})
    assert answer["status"] == "switching"


async def appears(client: Client, looks: Looks, avatar_id: str) -> dict[str, Any]:
    """Until the server says that it is on screen, and it is."""
    told = await client.events.wait("session.avatar", lambda data: data["avatar_id"] == avatar_id)
    await client.receiver.until(lambda: looks.last(client) == avatar_id)
    return told


def steps(client: Client, since: float) -> set[int]:
    """Between the time stamps of pictures, in frames."""
    stamps = [stamp for at, stamp, _ in client.receiver.pictures if at >= since]
    return {round(step / FRAME_TICKS * 2) / 2 for step in np.diff(stamps)}  # type: ignore[misc]


async def test_an_idle_face_changes_on_the_same_tracks_without_a_frame_missing(
    node: Node, viewer: Client, looks: Looks
) -> None:
    await viewer.receiver.hear_more(500)
    since = time.time()
    for avatar_id in ("drawn", "tall", "presenter"):
        await switch(viewer, avatar_id)
        told = await appears(viewer, looks, avatar_id)
        width, height = SIZES[avatar_id]
        assert (told["model"], told["width"], told["height"]) == ("portrait", width, height)
        shown = await viewer.call("GET", "")
        assert [shown[name] for name in ("avatar_id", "width", "height")] == [avatar_id, str(width), str(height)]
        await viewer.receiver.hear_more(400)
    assert steps(viewer, since) == {1.0}
    assert lost_packets(viewer.receiver, since) == 0
    faces = [looks.of(picture) for at, _, picture in viewer.receiver.pictures if at >= since]
    changes = [face for face, before in zip(faces, [None, *faces], strict=False) if face != before]
    assert changes == ["presenter", "drawn", "tall", "presenter"]  # each once, none in between
    rings = {path.name for path in (node.shm / viewer.session_id).glob("av*")}
    assert rings == {"av3", "av3.data", "av3.space"}


async def test_a_sentence_goes_on_in_the_new_face_without_a_sample_lost(viewer: Client, looks: Looks) -> None:
    await speaks_again(viewer)  # before anything is measured
    since = time.time()
    turn = await speaks(viewer, 440, sentences=3)
    heard_before = viewer.receiver.heard_samples
    await switch(viewer, "tall")
    await appears(viewer, looks, "tall")
    ended = await viewer.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is False
    await viewer.receiver.hear_more(200)
    assert lost_packets(viewer.receiver, since) == 0
    assert longest_gap_ms(viewer.receiver.samples()[heard_before - 4800 :], 440) < 500  # of the voice itself: 200 ms
    assert max(steps(viewer, since)) == 1.0
    await speaks_again(viewer)
    assert looks.last(viewer) == "tall"


async def test_of_two_quick_switches_the_last_one_stays(viewer: Client, looks: Looks) -> None:
    await switch(viewer, "tall")
    await switch(viewer, "drawn")
    await appears(viewer, looks, "drawn")
    await viewer.receiver.hear_more(500)
    assert looks.last(viewer) == "drawn"
    assert (await viewer.call("GET", ""))["avatar_id"] == "drawn"
    await speaks_again(viewer)


async def test_an_avatar_that_cannot_be_loaded_leaves_the_old_face_alive(
    viewer: Client, looks: Looks, gallery: Path
) -> None:
    ghost = gallery / "ghost"
    shutil.copytree(PACKAGED / "drawn", ghost)
    manifest = json.loads((ghost / "manifest.json").read_text()) | {"id": "ghost"}
    (ghost / "manifest.json").write_text(json.dumps(manifest))
    cv2.imwrite(str(ghost / "reference.png"), np.full((512, 512, 3), 90, np.uint8))
    await switch(viewer, "ghost")
    told = await viewer.events.wait("error")
    assert told["code"] == "AVATAR_FAILED" and told["message"].startswith("ghost: ")
    await speaks_again(viewer)
    assert looks.last(viewer) == "presenter"
    shutil.rmtree(ghost)


@pytest.mark.parametrize("meanwhile", ["idle", "speaking"])
async def test_an_inference_worker_killed_in_the_middle_of_a_switch_finishes_it_when_it_is_back(
    node: Node, viewer: Client, looks: Looks, meanwhile: str
) -> None:
    if meanwhile == "speaking":
        await speaks(viewer, 440)
    process = node.processes()[await worker_of(viewer, "inference")]
    process.suspend()
    await switch(viewer, "tall")
    process.kill()
    await appears(viewer, looks, "tall")
    await viewer.receiver.hear_more(500)
    await speaks_again(viewer)
    assert looks.last(viewer) == "tall"


async def test_an_rtc_worker_killed_before_it_shows_the_new_face_comes_back_with_it(
    node: Node, viewer: Client, looks: Looks
) -> None:
    process = node.processes()[await worker_of(viewer, "rtc")]
    process.send_signal(signal.SIGSTOP)
    redis = node.redis()
    await switch(viewer, "tall")
    key = f"opentalking:session:{viewer.session_id}"
    await eventually(lambda: redis.hget(key, "avatar_id") == "tall", "the new face is in force")
    node.processes()[await worker_of(viewer, "inference")].kill()  # it may not have told the rtc worker yet
    process.kill()
    await viewer.events.wait("session.avatar")
    await viewer.reconnect()
    await speaks_again(viewer)
    assert looks.last(viewer) == "tall"
    redis.close()

"""Pictures that clients send: what is refused, what is kept, and for how long."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars import AvatarError
from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from opentalking.models.pace import Pace
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.remote.wire import Opening
from opentalking.types import UInt8
from tests import portraits
from tests.support.mirror import MirrorAdapter, MirrorAvatar
from workers.synth.faces import KEPT, Faces, decoded


def picture(kind: str = ".png", level: int = 90, width: int = 96, height: int = 64) -> bytes:
    return bytes(cv2.imencode(kind, np.full((height, width, 3), level, np.uint8))[1].tobytes())


def faces_of(adapter: ModelAdapter, folder: Path) -> Faces:
    return Faces(adapter, folder / "faces", Settings(run_dir=str(folder)))


def manifests(folder: Path) -> list[str]:
    """Of the faces that are prepared."""
    return [path.read_text() for path in folder.glob("faces/*/manifest.json")]


def larger(png: bytes, side: int) -> bytes:
    """The same file, which says that it is of another size."""
    header = png[12:16] + struct.pack(">II", side, side) + png[24:29]
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def two_sizes(width: int, height: int) -> bytes:
    """A JPEG of that size with a second frame header, of 512x512, in a comment, where a careless reader of its segments
    lands: a fill byte before the first marker shifts what it takes for a length."""
    jpeg = picture(".jpg", width=width, height=height)
    jfif, rest = jpeg[2:20], jpeg[20:]
    assert jfif[:4] == b"\xff\xe0\x00\x10"
    head = jpeg[:2] + b"\xff" + jfif
    fake = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 512, 512) + b"\x03" + bytes(20)
    comment = bytes(2 + 2 + 0xE000 - len(head) - 4) + fake
    return head + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + rest


@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_a_picture_is_decoded(kind: str) -> None:
    found = decoded(picture(kind, level=90, width=96, height=64))
    assert found.shape == (64, 96, 3) and abs(int(found[30, 40, 1]) - 90) < 3


@pytest.mark.parametrize(
    "bomb",
    [larger(picture(), 60_000), larger(picture(), 5000), two_sizes(5000, 4000)],
    ids=["png", "smaller png", "jpeg that says two sizes"],
)
async def test_a_bomb_is_refused_before_it_is_decoded_and_leaves_nothing(tmp_path: Path, bomb: bytes) -> None:
    with pytest.raises(AvatarError, match="the reference picture: the picture has more than 16 megapixels"):
        await faces_of(MirrorAdapter(), tmp_path).take(Opening(ref_image=bomb))
    assert manifests(tmp_path) == []


async def test_the_size_that_counts_is_the_one_that_is_decoded_and_only_pixels_are_kept(tmp_path: Path) -> None:
    key, face = await faces_of(MirrorAdapter(), tmp_path).take(Opening(ref_image=two_sizes(300, 200)))
    assert (face.avatar.width, face.avatar.height) == (300, 200)
    assert [path.name for path in (tmp_path / "faces" / key).glob("reference.*")] == ["reference.png"]
    assert bytes(1000) not in (tmp_path / "faces" / key / "reference.png").read_bytes()  # nor what was in the comment


@pytest.mark.parametrize("raw", [b"", b"GIF89a", b"\xff\xd8\xff", b"\xff\xd8" + bytes(40), picture()[:-30]])
def test_what_is_no_picture_is_refused(raw: bytes) -> None:
    with pytest.raises(AvatarError, match=r"neither PNG nor JPEG|this is not a picture|is damaged"):
        decoded(raw)


async def test_a_face_is_drawn_at_the_size_that_was_asked_for_or_at_its_own(tmp_path: Path) -> None:
    faces = faces_of(MirrorAdapter(), tmp_path)
    _, asked = await faces.take(Opening(ref_image=picture(), width=128, height=256))
    _, own = await faces.take(Opening(ref_image=picture(width=97, height=64)))
    assert (asked.avatar.width, asked.avatar.height) == (128, 256)
    assert (own.avatar.width, own.avatar.height) == (96, 64)


@pytest.mark.parametrize(("width", "height"), [(32, 32), (4096, 4096)])
async def test_sizes_that_are_not_drawn_are_refused(tmp_path: Path, width: int, height: int) -> None:
    with pytest.raises(AvatarError, match=f"pictures of {width}x{height} are not drawn"):
        await faces_of(MirrorAdapter(), tmp_path).take(Opening(ref_image=picture(), width=width, height=height))


async def test_sizes_that_come_late_on_this_machine_are_refused_with_the_figures(tmp_path: Path) -> None:
    pace = Pace(frame_ms=4.0, batched_ms=4.0, sessions=9, drawing_ms=3.0, pixels=512 * 512)
    faces = Faces(MirrorAdapter(), tmp_path, Settings(run_dir=str(tmp_path)), pace)
    await faces.take(Opening(ref_image=picture(), width=1024, height=1024))
    with pytest.raises(AvatarError, match="pictures of 2048x2048 take 49 ms each here, and a frame lasts 40"):
        await faces.take(Opening(ref_image=picture(), width=2048, height=2048))


async def test_a_refused_picture_leaves_nothing_and_names_no_folder_of_ours(tmp_path: Path) -> None:
    class Picky(MirrorAdapter):
        def load_avatar(self, path: Path) -> None:  # type: ignore[override]
            raise AvatarError(f"{path.name}/reference.png: no face found")

    with pytest.raises(AvatarError, match=r"^reference\.png: no face found$"):
        await faces_of(Picky(), tmp_path).take(Opening(ref_image=picture(), width=64, height=64))
    assert manifests(tmp_path) == []


async def test_paths_of_the_clients_manifest_are_not_written(tmp_path: Path) -> None:
    metadata = {"source_video": "/etc/passwd", "portrait": {"teeth": "flat"}}
    await faces_of(MirrorAdapter(), tmp_path).take(Opening(ref_image=picture(), metadata=metadata))
    (manifest,) = manifests(tmp_path)
    assert "passwd" not in manifest and "flat" in manifest


async def test_a_turn_begins_at_the_pose_that_is_nearest_to_the_picture(tmp_path: Path) -> None:
    class Sliding(MirrorAdapter):
        def idle_frame(self, avatar: MirrorAvatar, pose: int, out: UInt8) -> None:
            out[:] = 20 + 2 * pose

    faces = faces_of(Sliding(), tmp_path)
    starts = [(await faces.take(Opening(ref_image=picture(level=level))))[1].start for level in (0, 40, 90)]
    assert starts == [0, 16, 36]  # luma 16, 50 and 93 of video
    assert (await faces_of(MirrorAdapter(), tmp_path).take(Opening(ref_image=picture())))[1].start == 0


async def test_the_last_few_faces_that_nobody_uses_are_kept_and_those_in_use(tmp_path: Path) -> None:
    faces = faces_of(MirrorAdapter(), tmp_path)
    used, avatar = await faces.take(Opening(ref_image=picture(level=1)))
    for level in range(2, 2 + KEPT + 2):
        key, _ = await faces.take(Opening(ref_image=picture(level=level)))
        faces.leave(key)
    assert len(manifests(tmp_path)) == KEPT + 1
    again, same = await faces.take(Opening(ref_image=picture(level=1)))
    assert (again, same) == (used, avatar)


async def test_what_the_model_made_of_a_face_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.synth.faces.KEPT", 1)
    portrait = PortraitAdapter(cache_dir=Settings(run_dir=str(tmp_path)).cache_dir)
    portrait.load_model("cpu")
    faces = faces_of(portrait, tmp_path)
    for quality in (70, 80, 90):
        key, _ = await faces.take(
            Opening(ref_image=portraits.jpeg(portraits.presenter(), quality), width=256, height=256)
        )
        faces.leave(key)
    assert len(manifests(tmp_path)) == 1
    assert [name.partition("-")[0] for name in files(tmp_path / "cache" / "portrait")] == [key]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())

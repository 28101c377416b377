"""The idle clip on disk and its encoding."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from opentalking.rtc import idle
from opentalking.rtc.idle import (
    ENTRY_FRAMES,
    KEPT,
    EncodedLoop,
    Face,
    LoopLibrary,
    encode_loop,
    map_clip,
    write_clip,
)
from opentalking.rtc.video import Codec
from opentalking.types import UInt8
from tests.unit.rtc.decoding import VideoDecoder
from tests.unit.rtc.stage import TINY, moving_face, psnr, tiny_clip


def test_a_clip_is_read_as_it_was_written(tmp_path: Path) -> None:
    clip = tiny_clip(9)
    path = tmp_path / "new" / "folder" / "clip.i420"
    write_clip(path, clip)
    mapped = map_clip(path, *TINY)
    assert np.array_equal(mapped, clip)
    assert not mapped.flags.writeable


def test_a_clip_may_be_made_of_views(tmp_path: Path) -> None:
    clip = tiny_clip(9)
    write_clip(tmp_path / "clip", (np.asfortranarray(frame) for frame in clip[::2]))
    assert np.array_equal(map_clip(tmp_path / "clip", *TINY), clip[::2])


def test_a_clip_whose_making_failed_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken() -> Iterator[UInt8]:
        yield from tiny_clip(3)
        raise RuntimeError("the model stumbled")

    with pytest.raises(RuntimeError, match="stumbled"):
        write_clip(tmp_path / "clip", broken())
    assert list(tmp_path.iterdir()) == []


def test_a_clip_is_replaced_whole_while_it_is_read(tmp_path: Path) -> None:
    old, new = tiny_clip(5, shade=10), tiny_clip(8, shade=90)
    write_clip(tmp_path / "clip", old)
    mapped = map_clip(tmp_path / "clip", *TINY)

    def while_writing() -> Iterator[UInt8]:
        for frame in new:
            assert np.array_equal(map_clip(tmp_path / "clip", *TINY), old)
            yield frame

    write_clip(tmp_path / "clip", while_writing())
    assert np.array_equal(mapped, old)
    assert np.array_equal(map_clip(tmp_path / "clip", *TINY), new)
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


@pytest.mark.parametrize("size", [0, 1, 383, 385, 1000])
def test_a_file_that_is_not_whole_frames_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "clip").write_bytes(bytes(size))
    with pytest.raises(ValueError, match=f"{size} bytes are not whole frames of 16x16"):
        map_clip(tmp_path / "clip", *TINY)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_decoder_can_join_at_every_entry_and_stay_around_the_end(codec: Codec) -> None:
    clip = moving_face(2 * ENTRY_FRAMES + 20)
    loop = encode_loop(clip, codec, 1_000_000)
    assert len(loop.units) == len(clip)
    entries = [pose for pose in range(len(clip)) if loop.is_entry(pose)]
    assert entries == [0, ENTRY_FRAMES, 2 * ENTRY_FRAMES]
    for entry in entries:
        decoder = VideoDecoder(codec)
        for n in range(ENTRY_FRAMES + 5):
            pose = (entry + n) % len(clip)
            assert psnr(decoder.decode(loop.units[pose]), clip[pose]) > 28


async def test_a_loop_is_encoded_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_finish, calls = threading.Event(), []
    real = encode_loop

    def counted(clip: UInt8, codec: Codec, bitrate: int) -> EncodedLoop:
        calls.append((codec, bitrate))
        assert may_finish.wait(60)
        return real(clip, codec, bitrate)

    monkeypatch.setattr(idle, "encode_loop", counted)
    path = clip_at(tmp_path, "clip", moving_face(10))
    faces = [LoopLibrary(400_000).face(path, SIDE, SIDE)] * 3
    assert [face.loop_of("h264") for face in faces] == [None] * 3
    assert faces[0].loop_of("vp8") is None
    may_finish.set()
    h264 = await loop_of(faces[0], "h264")
    assert faces[1].loop_of("h264") is h264
    assert await loop_of(faces[2], "vp8") is not h264
    assert sorted(calls) == [("h264", 400_000), ("vp8", 400_000)]


SIDE = 160


def clip_at(folder: Path, name: str, clip: UInt8) -> Path:
    write_clip(folder / name, clip)
    return folder / name


async def loop_of(face: Face, codec: Codec) -> EncodedLoop:
    """The loop, once it is encoded."""
    async with asyncio.timeout(60):
        while True:
            if (loop := face.loop_of(codec)) is not None:
                return loop
            await asyncio.sleep(0.01)


@pytest.fixture
def mapped(tmp_path: Path) -> Callable[[], list[str]]:
    """Tells which clips of the test this process maps, by name; "(deleted)" if the file is gone."""

    def names() -> list[str]:
        lines = Path("/proc/self/maps").read_text().splitlines()
        return sorted(line.partition(f"{tmp_path}/")[2] for line in lines if f"{tmp_path}/" in line)

    return names


async def none_is(mapped: Callable[[], list[str]]) -> None:
    """The thread that encoded may hold the clip a moment longer than it takes to say that it is ready."""
    async with asyncio.timeout(10):
        while True:
            if not mapped():
                return
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_is_collected() -> Iterator[None]:
    """Clips go when the last reference does; the collector, which comes when it likes, has no part in it."""
    gc.disable()
    yield
    gc.enable()


async def test_sessions_of_an_avatar_share_its_clip_and_its_loops(
    tmp_path: Path, mapped: Callable[[], list[str]]
) -> None:
    library, path = LoopLibrary(400_000), clip_at(tmp_path, "clip", moving_face(10))
    one, other = (library.face(path, SIDE, SIDE) for _ in range(2))
    assert one.clip is other.clip and mapped() == ["clip"]
    assert await loop_of(one, "h264") is await loop_of(other, "h264")


async def test_of_clips_that_nobody_shows_the_last_few_stay_with_their_loops(
    tmp_path: Path, mapped: Callable[[], list[str]]
) -> None:
    library = LoopLibrary(400_000)
    paths = [clip_at(tmp_path, f"clip{number}", moving_face(10)) for number in range(KEPT + 3)]
    shown = library.face(paths[0], SIDE, SIDE)
    for path in paths[1:]:
        library.face(path, SIDE, SIDE)
    loop = await loop_of(library.face(paths[-1], SIDE, SIDE), "h264")
    assert mapped() == ["clip0", *(path.name for path in paths[-KEPT:])]
    assert library.face(paths[-1], SIDE, SIDE).loop_of("h264") is loop
    del shown
    library.face(paths[1], SIDE, SIDE)
    assert mapped() == sorted(path.name for path in [paths[1], *paths[-KEPT + 1 :]])


async def test_a_clip_that_was_deleted_goes_with_the_last_session_that_shows_it(
    tmp_path: Path, mapped: Callable[[], list[str]]
) -> None:
    library, pictures = LoopLibrary(400_000), moving_face(10)
    path = clip_at(tmp_path, "clip", pictures)
    one, other = (library.face(path, SIDE, SIDE) for _ in range(2))
    path.unlink()
    library.sweep()
    del one
    assert np.array_equal(other.clip, pictures) and mapped() == ["clip (deleted)"]
    assert (await loop_of(other, "h264")).is_entry(0)
    del other
    await none_is(mapped)
    with pytest.raises(FileNotFoundError):
        library.face(path, SIDE, SIDE)


async def test_a_clip_that_is_being_encoded_when_its_last_session_leaves_goes_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: Callable[[], list[str]]
) -> None:
    may_finish = threading.Event()
    monkeypatch.setattr(idle, "encode_loop", lambda *_: may_finish.wait(60) and EncodedLoop(()))
    library, path = LoopLibrary(400_000), clip_at(tmp_path, "clip", moving_face(10))
    library.face(path, SIDE, SIDE).loop_of("h264")
    path.unlink()
    library.sweep()
    assert mapped() == ["clip (deleted)"]
    may_finish.set()
    await none_is(mapped)

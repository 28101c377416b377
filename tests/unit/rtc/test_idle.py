"""The idle clip on disk and its encoding."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from opentalking.rtc import idle
from opentalking.rtc.idle import ENTRY_FRAMES, EncodedLoop, LoopLibrary, encode_loop, map_clip, write_clip
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
    library, clip, path = LoopLibrary(400_000), moving_face(10), tmp_path / "clip"
    assert [library.get(path, clip, "h264") for _ in range(5)] == [None] * 5
    assert library.get(path, clip, "vp8") is None
    tasks = list(library._tasks.values())
    may_finish.set()
    await asyncio.gather(*tasks)
    h264 = library.get(path, clip, "h264")
    assert h264 is not None and library.get(path, clip, "h264") is h264
    assert library.get(path, clip, "vp8") is not h264
    assert sorted(calls) == [("h264", 400_000), ("vp8", 400_000)]

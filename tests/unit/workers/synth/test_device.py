"""The model's thread: what waited while it computed is computed together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from opentalking.models.adapter import BatchingAdapter
from opentalking.types import MODEL_RATE, AudioChunk
from tests.support.late import pitches, tones
from tests.support.mirror import MirrorAdapter, MirrorAvatar, colour
from workers.synth.device import Device


class Batching(MirrorAdapter):
    """Notes which streams shared a pass; computes when `let` is set."""

    max_batch = 3

    def __init__(self) -> None:
        self.passes: list[list[Any]] = []
        self.let = threading.Event()

    def infer_batch(self, work: Sequence[tuple[Any, Any]]) -> list[list[Any]]:
        self.passes.append([stream for _, stream in work])
        assert self.let.wait(60)
        if "broken" in self.passes[-1]:
            raise RuntimeError("no")
        return [self.infer(*one) for one in work]


CHUNKS = [AudioChunk(pcm, MODEL_RATE) for pcm in tones(pitches(5))]


async def test_sessions_share_a_pass_of_at_most_its_size_in_the_order_they_came() -> None:
    model = Batching()
    assert isinstance(model, BatchingAdapter)
    device = Device(model, 90)
    asked = [asyncio.create_task(device.predict(chunk, name)) for chunk, name in zip(CHUNKS, "abcde", strict=True)]
    await asyncio.sleep(0)
    model.let.set()
    assert await asyncio.gather(*asked) == [[colour(chunk)] for chunk in CHUNKS]
    assert sorted(name for one in model.passes for name in one) == list("abcde")
    assert [len(one) for one in model.passes] == [3, 2]
    device.close()


async def test_a_pass_that_fails_fails_for_those_who_shared_it_alone() -> None:
    model = Batching()
    device = Device(model, 90)
    model.let.set()
    with pytest.raises(RuntimeError, match="no"):
        await device.predict(CHUNKS[0], "broken")
    assert await device.predict(CHUNKS[1], "whole") == [colour(CHUNKS[1])]
    device.close()


async def test_a_picture_is_a_jpeg_of_the_avatars_size() -> None:
    device = Device(MirrorAdapter(), 90)
    jpeg = await (await device.picture(MirrorAvatar(64, 32), MirrorAvatar(64, 32), 0, None))
    assert jpeg[:2] == b"\xff\xd8"
    device.close()

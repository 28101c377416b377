"""Avatars are made beside the server: a process that dies or hangs becomes an error, and leaves no other."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from api.building import MOST_AT_ONCE, Builder
from api.errors import ApiError
from opentalking.config import Settings
from tests import portraits


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "avatar" in child.cmdline()]


async def told(builder: Builder, *arguments: str) -> ApiError:
    with pytest.raises(ApiError) as refused:
        async for _ in builder.run(*arguments):
            pass
    assert children() == []
    return refused.value


async def test_a_process_that_dies_is_the_servers_fault() -> None:
    assert (await told(Builder(Settings()), "no-such-verb")).status == 500


async def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(portraits.png(portraits.presenter()))
    builder = Builder(Settings(run_dir=str(tmp_path), avatar_build_timeout_s=0.01))
    error = await told(builder, "check", str(path))
    assert (error.status, error.code) == (504, "build_timeout")


def test_no_more_are_admitted_than_there_is_room_for() -> None:
    builder = Builder(Settings())
    with ExitStack() as stack:
        for _ in range(MOST_AT_ONCE):
            stack.enter_context(builder.admitted())
        with pytest.raises(ApiError) as refused, builder.admitted():
            pass
        assert (refused.value.status, refused.value.code) == (503, "at_capacity")
    with builder.admitted():
        pass

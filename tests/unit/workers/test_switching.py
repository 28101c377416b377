"""Which switches are still wanted, and how long an old face is waited for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from opentalking.store import ShowAvatar, Store, SwitchAvatar
from tests.unit.store.sessions import SID, new_session
from workers import switching


def asked(face: int) -> SwitchAvatar:
    return SwitchAvatar(SID, face, "drawn", "portrait")


async def test_only_the_newest_face_that_is_not_in_force_is_wanted(store: Store) -> None:
    await store.create_session(new_session())
    for _ in range(3):
        await store.ask_face(SID)
    assert [await switching.is_wanted(store, asked(face)) for face in (1, 2, 3)] == [False, False, True]
    await store.set_face(ShowAvatar(SID, 3, "drawn", "portrait", 512, 512, ""))
    assert not await switching.is_wanted(store, asked(3))


async def test_a_session_that_is_over_wants_no_face(store: Store) -> None:
    assert not await switching.is_wanted(store, asked(1))
    await store.create_session(new_session())
    await store.end_session(SID, "closed", "client")
    assert not await switching.is_wanted(store, asked(1))


class Stuck:
    """An old face whose pictures nobody takes."""

    def __init__(self) -> None:
        self.generation, self.raised, self.abandoned = 1, 0, False
        self.board = self

    async def retire(self, on_device: Any) -> asyncio.Event:
        return asyncio.Event()

    def raise_generation(self, generation: int) -> None:
        self.raised = generation

    def abandon_turn(self) -> None:
        self.abandoned = True


@pytest.mark.parametrize("newer", [False, True])
async def test_a_turn_whose_pictures_nobody_takes_is_ended_and_a_newer_one_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch, newer: bool
) -> None:
    monkeypatch.setattr(switching, "FINISH_S", 0.0)
    await store.create_session(new_session())
    for _ in range(1 + newer):
        await store.next_generation(SID)
    stuck: Any = Stuck()
    await switching.finish(stuck, store, SID, stuck)
    assert (stuck.raised, await store.generation(SID), stuck.abandoned) == (2, 2, True)

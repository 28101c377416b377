"""The janitor's rounds, one at a time, on real Redis."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from api.janitor import GONE_S, Janitor
from opentalking.store import ROLES, Close, Event, Open, Store
from shm import Presence
from tests.api_client import LIVES_S, beat
from tests.unit.store.sessions import SID, new_session


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def janitor(store: Store, clock: Clock, tmp_path: Path) -> Janitor:
    """A janitor, a node with its workers, and a session on it."""
    for role in ROLES:
        await store.beat(beat("a", role), LIVES_S)
    await store.create_session(new_session())
    return Janitor(store, 60, tmp_path / "opentalking-a", clock)


async def die(store: Store, worker: str) -> None:
    """As if the heartbeat had run out: the hash goes, the index keeps the name."""
    await store._call("DEL", f"opentalking:worker:{worker}")


async def events(store: Store) -> list[Event]:
    found = []
    async for event in store.events(SID, ping_s=0.001):
        if event is None:
            break
        found.append(event)
    return found


async def commands(store: Store, worker: str) -> list[object]:
    await store.send(worker, Open("end"))
    found: list[object] = []
    async for _, command in store.commands(worker):
        if command == Open("end"):
            break
        found.append(command)
    return found


async def test_a_session_whose_workers_live_is_left_alone(store: Store, janitor: Janitor) -> None:
    for _ in range(3):
        await janitor.sweep()
    assert [session.state for session in await store.list_sessions()] == ["created"]


@pytest.mark.parametrize("role", ROLES)
async def test_a_session_whose_worker_is_gone_ends_with_the_reason(
    store: Store, janitor: Janitor, clock: Clock, role: str
) -> None:
    await store.set_state(SID, "speaking")
    await die(store, f"a:{role}-1")
    await janitor.sweep()
    clock.seconds += GONE_S - 0.1
    await janitor.sweep()
    assert len(await store.list_sessions()) == 1, "missing for a moment is not gone"
    clock.seconds += 0.2
    await janitor.sweep()
    session = await store.get_session(SID)
    assert session is not None and session.last_error is not None
    assert (session.state, session.ended_reason) == ("error", f"worker_lost:{role}")
    assert (session.last_error.code, session.last_error.message) == (
        "worker_lost",
        f"the {role} worker of this session is gone",
    )
    assert [event.event for event in await events(store)][1:] == [
        "error",
        "session.state_changed",
        "session.terminated",
    ]
    for other in ROLES:
        told = [] if other == role else [Close(SID, f"worker_lost:{role}")]
        assert await commands(store, f"a:{other}-1") == told
    assert await store.silent_workers() == []
    await janitor.sweep()
    assert len(await events(store)) == 4


async def test_a_worker_that_is_back_in_time_loses_nothing(store: Store, janitor: Janitor, clock: Clock) -> None:
    for _ in range(3):  # each absence is counted from its own beginning
        await die(store, "a:rtc-1")
        await janitor.sweep()
        clock.seconds += GONE_S - 0.1
        await janitor.sweep()
        await store.beat(beat("a", "rtc", incarnation="i2"), LIVES_S)
        await janitor.sweep()
    assert len(await store.list_sessions()) == 1


async def test_a_process_of_this_node_that_died_is_gone_while_its_heartbeat_still_counts(
    store: Store, janitor: Janitor, clock: Clock, tmp_path: Path
) -> None:
    process = Presence(tmp_path / "opentalking-a", "rtc-1")
    await janitor.sweep()
    clock.seconds += GONE_S
    await janitor.sweep()
    assert len(await store.list_sessions()) == 1
    process.close()
    await janitor.sweep()
    clock.seconds += GONE_S
    await janitor.sweep()
    session = await store.get_session(SID)
    assert session is not None and session.ended_reason == "worker_lost:rtc"


async def test_a_process_that_is_restarted_in_time_loses_nothing(
    store: Store, janitor: Janitor, clock: Clock, tmp_path: Path
) -> None:
    Presence(tmp_path / "opentalking-a", "rtc-1").close()
    await janitor.sweep()
    clock.seconds += GONE_S - 0.1
    successor = Presence(tmp_path / "opentalking-a", "rtc-1")
    await janitor.sweep()
    clock.seconds += GONE_S
    await janitor.sweep()
    assert len(await store.list_sessions()) == 1
    successor.close()


async def test_the_processes_of_another_node_are_judged_by_their_heartbeats(
    store: Store, clock: Clock, janitor: Janitor, tmp_path: Path
) -> None:
    Presence(tmp_path / "opentalking-b", "rtc-1").close()
    elsewhere = Janitor(store, 60, tmp_path / "opentalking-b", clock)
    await elsewhere.sweep()
    clock.seconds += GONE_S
    await elsewhere.sweep()
    assert len(await store.list_sessions()) == 1


async def test_a_session_on_a_worker_that_was_forgotten_ends_too(store: Store, janitor: Janitor, clock: Clock) -> None:
    await store.forget_worker("a:speech-1")
    await janitor.sweep()
    clock.seconds += GONE_S
    await janitor.sweep()
    assert await store.list_sessions() == []


async def test_an_idle_session_ends_and_one_with_a_browser_does_not(store: Store, janitor: Janitor) -> None:
    long_ago = str(time.time() - 71)
    await store.create_session(new_session("sess_connected"))
    await store.set_peer("sess_connected", "connected")
    for session_id in (SID, "sess_connected"):
        await store._call("HSET", f"opentalking:session:{session_id}", "last_active_at", long_ago)
    await janitor.sweep()
    assert [session.session_id for session in await store.list_sessions()] == ["sess_connected"]
    ended = await store.get_session(SID)
    assert ended is not None and (ended.state, ended.ended_reason) == ("closed", "idle_timeout")
    assert await commands(store, "a:rtc-1") == [Close(SID, "idle_timeout")]


async def test_a_session_left_closing_is_closed(store: Store, janitor: Janitor) -> None:
    await store.set_state(SID, "closing")
    await janitor.sweep()
    assert len(await store.list_sessions()) == 1
    await store._call("HSET", f"opentalking:session:{SID}", "last_active_at", str(time.time() - 6))
    await janitor.sweep()
    assert await store.list_sessions() == []


async def test_one_janitor_at_a_time_works(store: Store, janitor: Janitor, clock: Clock) -> None:
    other = Janitor(store, idle_timeout_s=60, now=clock)
    await janitor.sweep()
    await die(store, "a:rtc-1")
    for _ in range(3):
        await other.sweep()
        clock.seconds += GONE_S
    assert len(await store.list_sessions()) == 1

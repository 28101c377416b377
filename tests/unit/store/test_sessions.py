"""Sessions: what the hash holds, and that every change of state happens once and is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from opentalking.llm.conversation import Entry
from opentalking.store import ROLES, Event, Session, SessionError, ShowAvatar, Store
from tests.unit.store.sessions import SID, new_session


async def events_so_far(store: Store, session_id: str = SID) -> list[Event]:
    found = []
    async for event in store.events(session_id, ping_s=0.001):
        if event is None:
            break
        found.append(event)
    return found


async def told(store: Store) -> list[tuple[str, dict[str, Any]]]:
    return [(event.event, event.data) for event in await events_so_far(store)]


async def existing(store: Store) -> Session:
    session = await store.get_session(SID)
    assert session is not None
    return session


async def test_a_session_that_was_never_made_is_none(store: Store) -> None:
    assert await store.get_session("sess_000000000000") is None
    assert await store.session_hash("sess_000000000000") == {}


async def test_a_new_session_reads_back_as_it_was_written(store: Store) -> None:
    made = new_session(tts_voice="joe", created_at=12.5)
    await store.create_session(made)
    session = await existing(store)
    assert (session.state, session.generation, session.peer, session.ready) == ("created", 0, "none", frozenset())
    assert (session.avatar_id, session.model, session.width, session.fps) == ("presenter", "portrait", 512, 25)
    assert (session.tts_voice, session.created_at, session.last_active_at) == ("joe", 12.5, 12.5)
    assert session.workers == ("a:speech-1", "a:inference-1", "a:rtc-1")
    assert session.raw == await store.session_hash(SID)


async def test_an_optional_field_that_was_not_given_is_not_in_the_hash(store: Store) -> None:
    await store.create_session(new_session())
    raw = await store.session_hash(SID)
    assert not {"tts_provider", "tts_voice", "tts_model", "stt_provider", "llm_system_prompt", "user_id"} & set(raw)


async def test_live_sessions_are_listed_oldest_first_and_ended_ones_are_not(store: Store) -> None:
    for number, created_at in enumerate((30.0, 10.0, 20.0)):
        await store.create_session(new_session(f"sess_{number}", created_at=created_at))
    await store.end_session("sess_2", "closed", "client")
    assert [session.session_id for session in await store.list_sessions()] == ["sess_1", "sess_0"]


async def test_sessions_of_a_worker_are_those_placed_on_it(store: Store) -> None:
    await store.create_session(new_session("sess_1"))
    await store.create_session(new_session("sess_2", rtc_worker="a:rtc-2"))
    assert [session.session_id for session in await store.sessions_of("a:rtc-2")] == ["sess_2"]
    assert len(await store.sessions_of("a:speech-1")) == 2


async def test_an_index_entry_without_a_hash_is_swept(store: Store, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.zadd("opentalking:sessions", {"sess_ghost": 1.0})
        assert await store.list_sessions() == []
        assert await redis.zcard("opentalking:sessions") == 0


async def test_a_hash_spoilt_by_hand_does_not_hide_the_other_sessions(store: Store, redis_url: str) -> None:
    await store.create_session(new_session("sess_1"))
    await store.create_session(new_session("sess_2"))
    async with Redis.from_url(redis_url) as redis:
        await redis.hset("opentalking:session:sess_1", "width", "wide")
    assert [session.session_id for session in await store.list_sessions()] == ["sess_2"]


async def test_ready_is_true_for_exactly_one_of_many_concurrent_calls(store: Store) -> None:
    await store.create_session(new_session())
    calls = [store.mark_ready(SID, role) for role in ROLES for _ in range(8)]
    assert (await asyncio.gather(*calls)).count(True) == 1
    session = await existing(store)
    assert session.state == "worker_ready"
    assert session.ready == frozenset(ROLES)
    assert await told(store) == [
        ("session.state_changed", {"session_id": SID, "old_state": "created", "new_state": "worker_ready"}),
        ("session.queued", {"session_id": SID, "position": 0, "message": "worker_ready"}),
    ]


async def test_a_worker_that_comes_back_does_not_set_a_conversation_back(store: Store) -> None:
    await store.create_session(new_session())
    for role in ROLES:
        await store.mark_ready(SID, role)
    await store.set_state(SID, "speaking")
    await store.unready(SID, "inference")
    assert (await existing(store)).ready == {"speech", "rtc"}
    assert await store.mark_ready(SID, "inference") is True
    assert (await existing(store)).state == "speaking"


async def test_every_change_of_state_is_told_and_no_change_is_not(store: Store) -> None:
    await store.create_session(new_session())
    assert await store.set_state(SID, "ready") is True
    assert await store.set_state(SID, "ready") is False
    assert await store.set_state(SID, "speaking") is True
    changes = [(data["old_state"], data["new_state"]) for _, data in await told(store)]
    assert changes == [("created", "ready"), ("ready", "speaking")]


async def test_a_closing_session_does_not_go_back_to_speaking(store: Store) -> None:
    await store.create_session(new_session())
    await store.set_state(SID, "closing")
    assert await store.set_state(SID, "speaking") is False
    assert await store.mark_ready(SID, "rtc") is False
    assert (await existing(store)).state == "closing"


async def test_ending_is_not_a_state_to_set(store: Store) -> None:
    await store.create_session(new_session())
    with pytest.raises(ValueError, match="closed is not a state to set; end_session ends a session"):
        await store.set_state(SID, "closed")


async def test_a_session_ends_once_however_many_end_it(store: Store) -> None:
    await store.create_session(new_session())
    ends = [store.end_session(SID, "closed", f"reason {n}") for n in range(10)]
    results = await asyncio.gather(*ends)
    assert results.count(True) == 1
    reason = f"reason {results.index(True)}"
    assert await told(store) == [
        ("session.state_changed", {"session_id": SID, "old_state": "created", "new_state": "closed"}),
        ("session.terminated", {"session_id": SID, "reason": reason}),
    ]
    session = await existing(store)
    assert session.ended and session.ended_reason == reason


async def test_what_is_left_of_an_ended_session_expires(store: Store, redis_url: str) -> None:
    await store.create_session(new_session())
    async with Redis.from_url(redis_url) as redis:
        assert await redis.ttl(f"opentalking:session:{SID}") == -1
        await store.end_session(SID, "error", "worker_lost:rtc")
        await store.emit(SID, "status", {"stage": "error"})
        for key in (f"opentalking:session:{SID}", f"opentalking:events:{SID}"):
            assert 0 < await redis.ttl(key) <= 600
        await store.emit("sess_unknown", "status", {"stage": "idle"})
        assert 0 < await redis.ttl("opentalking:events:sess_unknown") <= 600


async def test_ending_a_session_that_is_not_there_is_false(store: Store) -> None:
    assert await store.end_session("sess_nope", "closed", "client") is False


async def test_small_facts_are_kept_in_the_hash(store: Store) -> None:
    await store.create_session(new_session(created_at=1.0))
    assert await store.set_peer(SID, "connected")
    assert await store.set_last_turn(SID, {"generation": 3, "first_rtp_ms": 41.5})
    assert await store.set_error(SID, "SPEAK_FAILED", "no voice")
    assert await store.touch(SID)
    session = await existing(store)
    assert session.peer == "connected"
    assert session.last_turn == {"generation": 3, "first_rtp_ms": 41.5}
    assert session.last_error == SessionError("SPEAK_FAILED", "no voice")
    assert session.last_active_at > 1.0


async def test_a_turn_is_in_progress_from_its_begin_to_its_last_word(store: Store) -> None:
    await store.create_session(new_session())
    assert (await existing(store)).turn == 0
    await store.set_turn(SID, 3)
    assert (await existing(store)).turn == 3
    await store.set_last_turn(SID, {"generation": 3})
    assert (await existing(store)).turn == 0


async def test_setters_do_not_bring_a_dead_session_back(store: Store) -> None:
    assert await store.set_peer("sess_nope", "connected") is False
    assert await store.touch("sess_nope") is False
    assert await store.set_state("sess_nope", "ready") is False
    await store.unready("sess_nope", "rtc")
    assert await store.session_hash("sess_nope") == {}


async def test_a_history_is_kept_until_the_session_ends_and_not_after(store: Store) -> None:
    await store.create_session(new_session())
    entries = [Entry("user", "Who are you?"), Entry("assistant", "A face —", interrupted=True)]
    assert await store.history(SID, Entry) == []
    assert await store.keep_history(SID, entries)
    assert await store.history(SID, Entry) == entries
    await store.end_session(SID, "closed", "client")
    assert not await store.keep_history(SID, entries)
    assert await store.history(SID, Entry) == []


async def test_faces_are_numbered_and_the_one_in_force_is_what_a_worker_opens(store: Store) -> None:
    await store.create_session(new_session())
    assert [await store.ask_face(SID) for _ in range(2)] == [1, 2]
    assert await store.set_face(ShowAvatar(SID, 2, "drawn", "wax", 512, 640, "/cache/drawn.i420"))
    session = await store.get_session(SID)
    assert session is not None
    assert (session.face, session.faces_asked, session.avatar_id, session.model) == (2, 2, "drawn", "wax")
    assert (session.width, session.height, session.idle_clip) == (512, 640, "/cache/drawn.i420")


async def test_a_voice_that_was_chosen_is_what_a_worker_opens_the_session_with(store: Store) -> None:
    await store.create_session(new_session(tts_voice="joe", tts_model="m"))
    assert await store.set_voice(SID, "espeak", "de", "")
    session = await existing(store)
    assert (session.tts_provider, session.tts_voice, session.tts_model) == ("espeak", "de", "")
    assert not await store.set_voice("sess_0", "espeak", "de", "")


async def test_a_session_that_is_not_there_has_no_face(store: Store) -> None:
    assert await store.ask_face(SID) == 0
    assert not await store.set_face(ShowAvatar(SID, 1, "drawn", "wax", 512, 640, ""))
    assert await store.get_session(SID) is None

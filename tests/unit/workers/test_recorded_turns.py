"""Turns that are over before they sound, or whose session is, leave their trace, too."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opentalking.llm.conversation import Entry
from opentalking.store import Heard, Seen, Speak, Store
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.policy import VoiceChain
from tests.support.tone import tone_chain
from tests.unit.store.sessions import SID
from tests.unit.workers.test_conversation import CONFIG, EndlessLLM, chat, new_session
from workers.conversation import ConversationSession
from workers.recorder import Recorder


class Recorded:
    """A session and what was counted of it."""

    def __init__(self, session: ConversationSession, recorder: Recorder) -> None:
        self.session = session
        self._recorder = recorder

    @property
    def turns(self) -> list[list[Any]]:
        return sorted(self._recorder.info()["recorder"]["turns"])


@pytest.fixture
async def recorded(store: Store, tmp_path: Path) -> Recorded:
    await store.create_session(new_session())
    found = await store.get_session(SID)
    assert found is not None
    recorder = Recorder()
    return Recorded(ConversationSession(found, tmp_path, CONFIG, store, EndlessLLM(), recorder=recorder), recorder)


async def last_turn(store: Store) -> dict[str, Any]:
    return dict(msgspec.json.decode((await store.session_hash(SID))["last_turn"]))


async def told(store: Store, event: str) -> list[dict[str, Any]]:
    return [one.data for one in await store.past_events(SID) if one.event == event]


async def test_a_turn_interrupted_before_it_began(recorded: Recorded, store: Store) -> None:
    recorded.session.raise_generation(2)
    await recorded.session.begin(chat(1), tone_chain(CONFIG))
    await recorded.session.close()
    kept = await last_turn(store)
    assert (kept["generation"], kept["outcome"], kept["heard"]) == (1, "interrupted", "")
    assert await store.history(SID, Entry) == [Entry("user", "Hello?")]  # it was asked all the same
    assert recorded.turns == [["chat", "interrupted", 1]]


async def test_a_turn_whose_session_ends_in_the_midst_of_it(recorded: Recorded, store: Store) -> None:
    await recorded.session.begin(chat(1), tone_chain(CONFIG))
    await recorded.session.close()
    assert (await last_turn(store))["outcome"] == "interrupted"
    assert (await store.session_hash(SID))["turn"] == "1"  # a process that comes back tells its client
    assert recorded.turns == [["chat", "interrupted", 1]]


async def test_a_turn_whose_voice_cannot_be_loaded(recorded: Recorded, store: Store) -> None:
    tried: list[str] = []

    async def load(name: str) -> TTSAdapter:
        tried.append(name)
        raise TTSError("no such voice")

    await recorded.session.begin(Speak(SID, 1, "Hello.", time.time()), VoiceChain(CONFIG, load, "tone"))
    assert recorded.session._task is not None
    await asyncio.wait([recorded.session._task])
    await recorded.session.close()
    assert tried == ["tone", "piper", "espeak"]
    (error,) = await told(store, "error")
    assert (error["generation"], error["code"], error["message"]) == (1, "TTS_FAILED", "no such voice")
    assert recorded.turns == [["speak", "failed", 1]]


async def test_a_spoken_turn_keeps_its_zero_where_the_api_finds_it(recorded: Recorded, store: Store) -> None:
    zero = time.time() - 3
    spoken = msgspec.structs.replace(chat(1), heard=Heard(zero, committed_at=zero + 1))
    await recorded.session.begin(spoken, tone_chain(CONFIG))
    await recorded.session.close()
    found = await store.get_session(SID)
    assert found is not None and found.turn_began_at == zero
    assert recorded.turns == [["spoken", "interrupted", 1]]


async def test_a_report_of_a_turn_that_nobody_knows_is_not_told(recorded: Recorded, store: Store) -> None:
    now = time.time()
    recorded.session.seen(Seen(SID, 1, now))
    await recorded.session.begin(chat(2), tone_chain(CONFIG))
    await asyncio.sleep(0)
    recorded.session.seen(Seen(SID, 1, now))
    recorded.session.seen(Seen(SID, 3, now))
    recorded.session.seen(Seen(SID, 2, now))
    await recorded.session.close()
    assert [data["generation"] for data in await told(store, "speech.timing")] == [2]

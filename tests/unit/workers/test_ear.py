"""The microphone's two ends on a real ring: the api's, and the speech process's with a recogniser of fixed words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from api.errors import ApiError
from api.microphone import Microphone
from opentalking.config import Settings
from opentalking.slots import Utterance, reply_key
from opentalking.store import ROLES, Session, Store
from opentalking.stt.base import STTAdapter, STTError, Transcript
from opentalking.types import AudioChunk, Int16
from tests.unit.store.sessions import SID, new_session
from workers.ear import Ear

SECOND = np.arange(16_000, dtype=np.int16).tobytes()


class Counting:
    """Its words are how many samples it was given, and the last of them; a partial one comes with the first."""

    provider = "counting"
    answers_pauses = False

    def __init__(self) -> None:
        self.words: str | None = None  # in place of those
        self.failure: Exception | None = None
        self.hangs = False
        self.dropped = asyncio.Event()
        self.fed = asyncio.Event()
        self.over = asyncio.Event()

    async def warmup(self) -> None:
        """Nothing to load."""

    async def transcribe_stream(self, audio: AsyncIterator[AudioChunk]) -> AsyncGenerator[Transcript, None]:
        heard: list[Int16] = []
        try:
            async for chunk in audio:
                heard.append(chunk.data)
                self.fed.set()
                if len(heard) == 1:
                    yield Transcript("so far", is_final=False)
            self.over.set()
            if self.failure is not None:
                raise self.failure
            if self.hangs:
                await asyncio.Event().wait()
            pcm = np.concatenate([np.zeros(0, np.int16), *heard])
            words = f"{len(pcm)} {pcm[-1]}" if len(pcm) else ""
            yield Transcript(words if self.words is None else self.words, is_final=True)
        except (asyncio.CancelledError, GeneratorExit):
            self.dropped.set()
            raise

    async def aclose(self) -> None:
        """Nothing to let go of."""


class Bench:
    """A session with both ends; `turns` is what was said, `partly` what was understood on the way."""

    def __init__(self, store: Store, session: Session, settings: Settings) -> None:
        self.store = store
        self.session = session
        self.settings = settings
        self.recogniser = Counting()
        self.turns: list[tuple[Utterance, str]] = []
        self.partly: list[str] = []
        self.asked: list[str] = []
        self.folder = settings.shm_root / SID
        self.ear: Ear | None = None

    def open_ear(self) -> Ear:
        self.ear = Ear(self.folder, self.settings, self._find, self.partly.append, self._heard, self.store.reply)
        return self.ear

    async def _find(self, name: str) -> STTAdapter:
        self.asked.append(name)
        return self.recogniser

    async def _heard(self, wanted: Utterance, text: str, ended_at: float) -> dict[str, Any]:
        self.turns.append((wanted, text))
        return {"text": text, "generation": len(self.turns)}

    def microphone(self, **changes: Any) -> Microphone:
        return Microphone(msgspec.structs.replace(self.settings, **changes), self.store, self.session)

    async def say(self, pcm: bytes, piece: int = 3200, wanted: Utterance | None = None) -> dict[str, Any]:
        with self.microphone() as microphone:
            await microphone.begin(wanted or Utterance())
            for start in range(0, len(pcm), piece):
                await microphone.write(pcm[start : start + piece])
            await microphone.end()
            return await microphone.result()


@pytest.fixture
async def bench(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(Settings, "shm_root", tmp_path)
    await store.create_session(new_session())
    for role in ROLES:
        await store.mark_ready(SID, role)
    session = await store.get_session(SID)
    assert session is not None
    made = Bench(store, session, Settings(node=session.node, stt_timeout_s=5, stt_max_utterance_s=20))
    made.open_ear()
    yield made
    if made.ear is not None:
        await made.ear.close()


async def refusal(speaking: Any) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        await speaking
    return refused.value.status, refused.value.code


@pytest.mark.parametrize("piece", [1, 333, 4096, 4097, 32_000])
async def test_every_sample_arrives_once_in_pieces_of_any_size(bench: Bench, piece: int) -> None:
    pcm = SECOND if piece > 1 else SECOND[:2000]
    assert (await bench.say(pcm, piece))["text"] == f"{len(pcm) // 2} {len(pcm) // 2 - 1}"


async def test_how_it_is_wanted_arrives_with_it(bench: Bench) -> None:
    wanted = Utterance(stt_provider="x" * 128, tts_provider="\u20ac" * 128, tts_voice="\0" * 128, tts_model="m")
    assert await bench.say(SECOND, wanted=wanted) == {"text": "16000 15999", "generation": 1}
    assert bench.turns == [(wanted, "16000 15999")]
    assert bench.asked == [wanted.stt_provider]


async def test_what_is_understood_on_the_way_is_told_of_turns_only(bench: Bench) -> None:
    await bench.say(SECOND)
    assert bench.partly == ["so far"]
    await bench.say(SECOND, wanted=Utterance(turn=False))
    assert bench.partly == ["so far"]


async def test_one_utterance_follows_another_many_times_round_the_ring(bench: Bench) -> None:
    for number in range(1, 30):
        assert await bench.say(SECOND * 2, 640) == {"text": "32000 15999", "generation": number}


async def test_no_words_are_no_turn_but_a_transcription(bench: Bench) -> None:
    assert await refusal(bench.say(b"")) == (400, "speech_empty")
    assert bench.turns == []
    assert (await bench.say(b"", wanted=Utterance(turn=False)))["text"] == ""


async def test_a_recogniser_that_fails_or_takes_too_long_is_told_and_the_next_utterance_is_heard(bench: Bench) -> None:
    bench.recogniser.failure = STTError("no weights")
    with pytest.raises(ApiError, match="no weights") as refused:
        await bench.say(SECOND)
    assert (refused.value.status, refused.value.code) == (502, "stt_failed")
    bench.recogniser.failure = ZeroDivisionError("odd")
    assert await refusal(bench.say(SECOND)) == (502, "stt_failed")
    bench.recogniser.failure, bench.recogniser.hangs = None, True
    assert bench.ear is not None
    bench.ear._config = msgspec.structs.replace(bench.settings, stt_timeout_s=0.1)
    assert await refusal(bench.say(SECOND)) == (504, "stt_timeout")
    bench.recogniser.hangs = False
    assert (await bench.say(SECOND))["text"] == "16000 15999"


async def test_a_microphone_is_for_one_at_a_time(bench: Bench) -> None:
    with bench.microphone() as microphone:
        await microphone.begin(Utterance())
        assert await refusal(bench.say(SECOND)) == (409, "microphone_busy")
    assert (await bench.say(SECOND))["text"] == "16000 15999"


async def test_a_microphone_that_is_abandoned_is_forgotten_at_once(bench: Bench) -> None:
    with bench.microphone() as microphone:
        await microphone.begin(Utterance())
        await microphone.write(SECOND)
        await bench.recogniser.fed.wait()
    async with asyncio.timeout(10):
        await bench.recogniser.dropped.wait()
    assert bench.turns == []


async def test_a_sender_that_died_in_the_middle_is_followed_by_the_next(bench: Bench) -> None:
    microphone = bench.microphone()
    await microphone.begin(Utterance())
    await microphone.write(SECOND)
    microphone._ring.close()  # as the kernel would
    assert (await bench.say(SECOND[:3200]))["text"] == "1600 1599"
    assert len(bench.turns) == 1


async def test_what_is_too_long_is_refused(bench: Bench) -> None:
    assert await refusal(bench.say(SECOND * 21)) == (413, "utterance_too_long")
    assert (await bench.say(SECOND * 20))["text"] == "320000 15999"


async def test_a_worker_that_takes_nothing_holds_the_sender_up_and_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.ear is not None
    await bench.ear.close()
    monkeypatch.setattr("api.microphone.TAKEN_S", 0.2)
    assert await refusal(bench.say(SECOND * 20)) == (503, "worker_stalled")
    bench.open_ear()
    assert (await bench.say(SECOND))["text"] == "16000 15999"


async def test_the_next_incarnation_answers_who_was_waiting(bench: Bench) -> None:
    """The process before it dies between the utterance and its answer."""
    bench.recogniser.hangs = True
    speaking = asyncio.create_task(bench.say(SECOND))
    await bench.recogniser.over.wait()
    assert bench.ear is not None and bench.ear._answering is not None
    bench.ear._answering.cancel()  # nothing of it runs on, and nothing is told
    bench.ear._ring.close()
    bench.open_ear()
    assert await refusal(speaking) == (503, "worker_restarted")


async def test_who_waits_is_told_when_the_session_is_let_go_of(bench: Bench) -> None:
    bench.recogniser.hangs = True
    with bench.microphone() as microphone:
        await microphone.begin(Utterance())
        await microphone.write(SECOND)
        await microphone.end()
        await bench.recogniser.over.wait()
        assert bench.ear is not None
        await bench.ear.close()
        bench.ear = None
        assert await refusal(microphone.result()) == (409, "session_left")


@pytest.mark.parametrize(("restarting", "code"), [(False, (409, "session_left")), (True, (503, "worker_restarted"))])
async def test_who_still_speaks_then_is_told_at_the_end(bench: Bench, restarting: bool, code: tuple[int, str]) -> None:
    with bench.microphone() as microphone:
        await microphone.begin(Utterance())
        await microphone.write(SECOND)
        await bench.recogniser.fed.wait()
        assert bench.ear is not None
        await bench.ear.close(restarting)
        bench.ear = None
        await microphone.end()
        assert await refusal(microphone.result()) == code


async def test_a_reply_is_not_waited_for_when_the_session_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.microphone.LOOK_S", 0.05)
    bench.recogniser.hangs = True
    speaking = asyncio.create_task(bench.say(SECOND))
    await bench.recogniser.over.wait()
    await bench.store.end_session(SID, "closed", "worker_lost:speech")
    assert await refusal(speaking) == (409, "session_left")


async def test_a_session_elsewhere_not_open_yet_or_gone_is_refused(bench: Bench) -> None:
    with pytest.raises(ApiError) as refused:
        bench.microphone(node="another")
    assert (refused.value.status, refused.value.code) == (503, "other_node")
    bench.session, there = msgspec.structs.replace(bench.session, ready=frozenset()), bench.session
    with pytest.raises(ApiError) as refused:
        bench.microphone()
    assert (refused.value.status, refused.value.code) == (503, "session_loading")
    bench.session = msgspec.structs.replace(there, session_id="sess_gone")
    with pytest.raises(ApiError) as refused:
        bench.microphone()
    assert (refused.value.status, refused.value.code) == (409, "session_left")
    assert not (bench.settings.shm_root / "sess_gone").exists()


def test_replies_have_a_key_an_utterance() -> None:
    assert reply_key(255) == "mic-00000000000000ff"

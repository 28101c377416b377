"""An open microphone on a real ring, into a real conversation; loudness stands for speech, so that time is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.llm.base import Message, Spent
from opentalking.slots import MicFlags, TrackPacket, pack_track
from opentalking.store import Chat, Heard, Store
from opentalking.stt.base import Audio, Pause, STTAdapter, STTError, Transcript
from opentalking.turns.weights import TurnsError
from opentalking.types import Float32, Int16
from shm import Cursor, Mark, MarkKind, Writer
from tests.support.tone import tone_chain
from tests.unit.store.sessions import SID, new_session
from workers import links
from workers.ahead import HeadStart
from workers.conversation import ConversationSession
from workers.listener import Listener

PACKET = 320
CONFIG = Settings(node="test", turn_model="none", turn_min_silence_ms=320, turn_max_silence_ms=960)


class Loudness:
    """Speech is what is loud."""

    def probability(self, samples: Float32, state: Float32) -> tuple[float, Float32]:
        return float(np.abs(samples[64:]).max() > 0.1), state


class Engines:
    """What an Attention gives, without files; `missing` is why it cannot."""

    def __init__(self) -> None:
        self.missing = ""

    async def models(self) -> tuple[Loudness, None]:
        if self.missing:
            raise TurnsError(self.missing)
        return Loudness(), None


class Recogniser:
    """Says `words` at every pause and at the end, and keeps what it was given."""

    provider = "scripted"
    answers_pauses = True

    def __init__(self, words: str) -> None:
        self.words = words
        self.failure: Exception | None = None
        self.answer = asyncio.Event()  # the last one waits for it
        self.answer.set()
        self.heard: list[Int16] = []
        self.pauses = 0
        self.over = asyncio.Event()

    async def warmup(self) -> None:
        """Nothing to load."""

    async def transcribe_stream(self, audio: AsyncIterator[Audio]) -> AsyncGenerator[Transcript, None]:
        samples = 0
        try:
            async for piece in audio:
                if isinstance(piece, Pause) and self.answers_pauses:
                    self.pauses += 1
                    yield Transcript(self.words, is_final=False, samples=samples)
                elif not isinstance(piece, Pause):
                    self.heard.append(piece.data)
                    samples += len(piece.data)
            if self.failure is not None:
                raise self.failure
            await self.answer.wait()
            yield Transcript(self.words, is_final=True, samples=samples)
        finally:
            self.over.set()

    async def aclose(self) -> None:
        """Nothing to let go of."""


class Answering:
    """Counts how often it is asked, and answers at once."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def warmup(self) -> None:
        """Nothing to load."""

    async def chat_stream(self, messages: Sequence[Message], spent: Spent | None = None) -> AsyncGenerator[str, None]:
        self.asked.append(messages[-1].content)
        yield "This is an answer. "
        yield "It has two sentences."

    async def aclose(self) -> None:
        """Nothing to let go of."""


class Room:
    """A session with an open microphone; `turns` is what was said into it."""

    def __init__(self, conversation: ConversationSession, store: Store, folder: Path, config: Settings) -> None:
        self.conversation = conversation
        self.store = store
        self.recogniser = Recogniser("What time is it?")
        self.engines: Any = Engines()
        self.turns: asyncio.Queue[tuple[str, Heard]] = asyncio.Queue()
        self.playout = links.open_board(folder, Writer.RTC)
        self._ring = links.track_producer(folder)
        self._sample = 0
        self.said: list[Int16] = []
        self.listener = Listener(folder, config, conversation, self.engines, self._find, self._commit)

    async def _find(self) -> STTAdapter:
        return self.recogniser

    async def _commit(self, text: str, heard: Heard) -> None:
        self.turns.put_nowait((text, heard))

    async def send(self, pcm: Int16, flags: MicFlags = MicFlags.NONE, track: int = 7) -> None:
        for start in range(0, max(len(pcm), 1), PACKET):
            piece = pcm[start : start + PACKET]
            slot = await self._ring.claim()
            self._ring.publish(0, pack_track(slot, TrackPacket(track, flags, self._sample, piece)))
            self._sample += len(piece)
            self.said.append(piece)

    async def hear(self, *what: int) -> None:
        """Milliseconds of speech, of silence, of speech …; each packet is taken before the next is sent."""
        for turn, ms in enumerate(what):
            pcm = np.zeros(ms * 16, np.int16)
            if turn % 2 == 0:
                pcm[:] = 16_000
                pcm[::2] = -16_000
            await self.send(pcm)
            await self.taken()

    async def taken(self) -> None:
        while self._ring.depth:
            await _step()
        for _ in range(20):  # what follows from it, in the loop
            await _step()

    async def events(self, *names: str) -> list[dict[str, Any]]:
        found = await self.store.past_events(SID)
        return [event.data for event in found if event.event in names]

    async def event(self, name: str) -> dict[str, Any]:
        """The first of that name, once it is there."""
        async with asyncio.timeout(10):
            while not (found := await self.events(name)):
                await _step()
        return found[0]

    async def states(self, count: int) -> list[str]:
        """Of the listener, once so many were told."""
        async with asyncio.timeout(10):
            while len(found := await self.events("listening")) < count:
                await _step()
        return [data["state"] for data in found]

    async def speak(self, generation: int = 5) -> None:
        """A turn of the avatar's, half a second heard of it."""
        await self.store.reach_generation(SID, generation)
        await self.conversation.begin(Chat(SID, generation, "Hello?", 0.0), tone_chain(CONFIG))
        await self.event("tts")  # its first fragment is known
        self.playout.write_cursor(Cursor(generation, 0, 24_000))
        self.playout.mark(Mark(MarkKind.FRAGMENT_STARTED, generation, 0, 0, 1.0))
        await self.event("speech.media_started")

    async def close(self) -> None:
        await self.listener.close()
        await self.conversation.close()
        self.playout.close()
        self._ring.close()


async def _step() -> None:
    """Let the loop run what is due."""
    await asyncio.sleep(0)


async def room_of(store: Store, folder: Path, llm: Answering, config: Settings) -> Room:
    await store.create_session(new_session())
    session = await store.get_session(SID)
    assert session is not None
    room = Room(ConversationSession(session, folder, config, store, llm), store, folder, config)
    await room.send(np.zeros(3200, np.int16), MicFlags.START)
    await room.taken()
    return room


@pytest.fixture
def llm() -> Answering:
    return Answering()


@pytest.fixture
async def room(store: Store, tmp_path: Path, llm: Answering) -> AsyncIterator[Room]:
    made = await room_of(store, tmp_path, llm, CONFIG)
    yield made
    await made.close()


async def test_a_sentence_becomes_a_turn_once_there_is_silence(room: Room) -> None:
    await room.hear(800, 300)
    assert room.turns.empty()
    await room.hear(0, 700)
    text, heard = await room.turns.get()
    assert text == "What time is it?"
    assert heard.vad_decision_at is not None and heard.stt_final_at is not None and heard.committed_at is not None
    assert heard.speech_ended_at <= heard.vad_decision_at <= heard.stt_final_at <= heard.committed_at
    assert await room.states(3) == ["listening", "hearing", "listening"]


async def test_a_pause_within_a_turn_neither_ends_it_nor_loses_a_sample(room: Room) -> None:
    await room.hear(500, 200, 400, 1000)
    await asyncio.wait_for(room.turns.get(), 10)
    assert room.turns.empty()
    given = np.concatenate(room.recogniser.heard)
    said = np.concatenate(room.said)
    speech = np.flatnonzero(said)
    began = len(said) - next(n for n in range(len(said), 0, -1) if np.array_equal(said[-n:][: len(given)], given))
    assert began <= speech[0], "what came just before speech was noticed belongs to it"
    assert began + len(given) > speech[-1], "nothing of it is missing"


async def test_what_has_no_words_is_no_turn(room: Room) -> None:
    room.recogniser.words = ""
    await room.hear(300, 1200)
    await room.recogniser.over.wait()
    await room.hear(0, 200)
    assert room.turns.empty()
    assert await room.states(3) == ["listening", "hearing", "listening"]


async def test_a_microphone_that_falls_silent_by_sending_nothing_ends_the_turn(room: Room) -> None:
    await room.hear(600, 40)
    text, _ = await asyncio.wait_for(room.turns.get(), 30)
    assert text == "What time is it?"


async def test_what_was_said_when_the_connection_ended_counts(room: Room) -> None:
    await room.hear(600)
    await room.send(np.zeros(0, np.int16), MicFlags.END)
    text, _ = await asyncio.wait_for(room.turns.get(), 10)
    assert text == "What time is it?"
    assert (await room.states(4))[-1] == "off"


async def test_a_new_connection_is_listened_to_from_its_first_packet(room: Room) -> None:
    await room.hear(600)
    await room.send(np.zeros(1600, np.int16), MicFlags.START, track=8)
    assert (await asyncio.wait_for(room.turns.get(), 10))[0] == "What time is it?"


async def test_a_recogniser_that_fails_is_told_and_the_next_sentence_is_heard(room: Room) -> None:
    room.recogniser.failure = STTError("no credit left")
    await room.hear(600, 1000)
    assert (await room.event("error"))["message"] == "no credit left"
    room.recogniser = Recogniser("Again.")
    await room.hear(600, 1000)
    assert (await asyncio.wait_for(room.turns.get(), 10))[0] == "Again."


async def test_without_a_detector_the_client_is_told_what_is_missing(store: Store, tmp_path: Path) -> None:
    room = await room_of(store, tmp_path, Answering(), CONFIG)
    room.engines.missing = "install silero-vad"
    await room.send(np.zeros(3200, np.int16), MicFlags.START, track=9)
    error = await room.event("error")
    assert (error["code"], error["message"]) == ("VAD_UNAVAILABLE", "install silero-vad")
    await room.close()


async def test_the_model_is_asked_before_the_turn_is_over_and_once(room: Room, llm: Answering) -> None:
    await room.hear(600, 250)
    await room.taken()
    assert llm.asked == ["What time is it?"]
    await room.hear(0, 700)
    text, heard = await asyncio.wait_for(room.turns.get(), 10)
    await room.conversation.begin(Chat(SID, 3, text, 0.0, heard=heard), tone_chain(CONFIG))
    assert (await room.event("assistant.message"))["text"] == "This is an answer. It has two sentences."
    assert llm.asked == ["What time is it?"]


async def test_an_answer_to_other_words_is_not_kept(room: Room, llm: Answering) -> None:
    await room.hear(600, 250)
    await room.taken()
    await room.conversation.begin(Chat(SID, 3, "What day is it?", 0.0), tone_chain(CONFIG))
    await room.event("assistant.message")
    assert llm.asked == ["What time is it?", "What day is it?"]


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [("What time is it", "what time is it?", True), ("What time is it", "What time was it", False)],
)
async def test_only_punctuation_may_differ(one: str, other: str, fits: bool) -> None:
    ahead = HeadStart(Answering(), [Message("system", "Be brief."), Message("user", one)])
    assert ahead.fits([Message("system", "Be brief."), Message("user", other)]) is fits
    assert not ahead.fits([Message("system", "Be long."), Message("user", one)])
    ahead.drop()


async def test_speech_over_the_avatar_makes_it_pause_and_words_cut_it(room: Room) -> None:
    await room.speak()
    await room.hear(200)
    assert room.playout.paused == 5
    await room.hear(600)
    cut = await room.event("speech.interrupted")
    assert (cut["generation"], cut["reason"]) == (5, "barge_in")
    assert room.playout.generation > 5
    await room.hear(200, 1000)
    assert (await asyncio.wait_for(room.turns.get(), 10))[0] == "What time is it?"
    assert len(await room.events("speech.interrupted")) == 1


@pytest.mark.parametrize(
    ("words", "reason"), [("", "cough"), ("Uh-huh.", "backchannel"), ("this is an answer", "echo")]
)
async def test_what_is_not_meant_to_stop_it_lets_the_avatar_go_on(room: Room, words: str, reason: str) -> None:
    await room.speak()
    room.recogniser.words = words
    await room.hear(200)
    assert room.playout.paused == 5
    room.playout.mark(Mark(MarkKind.PAUSED, 5, 0, 24_000, 2.0))
    assert "decided_at" in await room.event("speech.paused")
    await room.hear(0, 1200)
    room.playout.mark(Mark(MarkKind.RESUMED, 5, 0, 24_000, 3.0))
    assert (await room.event("speech.resumed"))["reason"] == reason
    assert room.playout.paused == 0
    assert room.turns.empty()
    assert await room.events("speech.interrupted") == []


async def test_a_second_cough_makes_the_avatar_pause_again(room: Room) -> None:
    await room.speak()
    room.recogniser.words = "Mm."
    for _ in range(2):
        await room.hear(200)
        assert room.playout.paused == 5
        await room.hear(0, 500)
        assert room.playout.paused == 0
    await room.hear(0, 1500)
    assert room.turns.empty()


async def test_yes_at_the_end_of_what_the_avatar_says_is_an_answer(room: Room) -> None:
    await room.speak()
    await room.event("assistant.message")  # all of it is made
    room.playout.write_cursor(Cursor(5, 1, 10_000_000))  # and nothing of it is left
    room.recogniser.words = "Yes."
    await room.hear(200, 1200)
    assert (await asyncio.wait_for(room.turns.get(), 10))[0] == "Yes."


@pytest.mark.parametrize("failure", [STTError("no credit left"), RuntimeError("no credit left")])
async def test_a_recogniser_that_fails_lets_the_avatar_go_on(room: Room, failure: Exception) -> None:
    await room.speak()
    room.recogniser.answers_pauses, room.recogniser.failure = False, failure
    await room.hear(200)
    assert room.playout.paused == 5
    await room.hear(0, 1200)
    error = await room.event("error")
    assert (error["code"], error["message"]) == ("STT_FAILED", "no credit left")
    assert room.playout.paused == 0


async def test_a_recogniser_that_takes_for_ever_does_not_hold_the_avatar(store: Store, tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, barge_in_wait_ms=300)
    room = await room_of(store, tmp_path, Answering(), config)
    room.recogniser.answers_pauses = False
    room.recogniser.answer.clear()
    await room.speak()
    await room.hear(200)
    assert room.playout.paused == 5
    await room.hear(0, 1000)
    async with asyncio.timeout(10):
        while room.playout.paused:
            await _step()
    room.recogniser.answer.set()  # the words come after all, and they count
    assert (await room.event("speech.interrupted"))["generation"] == 5
    assert (await asyncio.wait_for(room.turns.get(), 10))[0] == "What time is it?"
    await room.close()


async def test_an_avatar_that_may_not_be_stopped_hears_nothing_while_it_speaks(store: Store, tmp_path: Path) -> None:
    config = msgspec.structs.replace(CONFIG, barge_in=False)
    room = await room_of(store, tmp_path, Answering(), config)
    await room.speak()
    await room.hear(800, 1200)
    await room.recogniser.over.wait()
    await room.taken()
    assert room.playout.paused == 0
    assert room.turns.empty()
    await room.close()

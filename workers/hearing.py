"""One connection's microphone, hop by hop: who speaks, what, and when it is the avatar's turn.

    microphone ──> VoiceActivity ──> Endpointing ──LOOK──> recogniser, turn model ──> END ──> Chat, as if written
                         │               └── words before the end: the model is asked ahead
                         └── while the avatar speaks: Floor (pause, then cut or go on)

    speech     ....#########____####______________________
    recogniser   (<────────]  (<───]|   )                     ( opened with what came just before, ) ended
    held back               [__]    [____                     silence after a look, until speech goes on

Time is the microphone's own, counted in samples. Everything runs in the loop's thread; what waits for a recogniser is
a task of its own, and the next turn may begin meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from opentalking.config import Settings
from opentalking.store import Heard, StoreError
from opentalking.stt.base import STTAdapter, STTError, Transcript
from opentalking.turns.endpointing import Decision, Endpointing
from opentalking.turns.smart_turn import WINDOW_S, SmartTurn
from opentalking.turns.vad import Activity, VoiceActivity
from opentalking.types import MODEL_RATE, Int16
from workers.attention import Attention
from workers.conversation import ConversationSession
from workers.dictation import Dictation
from workers.floor import Floor
from workers.tape import Tape

log = logging.getLogger(__name__)

Find = Callable[[], Awaitable[STTAdapter]]
Commit = Callable[[str, Heard], Awaitable[None]]  # what was said, and when it reached what


class Hearing:
    """From the first packet of a connection to its last."""

    def __init__(
        self,
        config: Settings,
        conversation: ConversationSession,
        attention: Attention,
        voice: VoiceActivity,
        turn_model: SmartTurn | None,
        find: Find,
        commit: Commit,
    ) -> None:
        self._config = config
        self._conversation = conversation
        self._attention = attention
        self._voice = voice
        self._turn_model = turn_model
        self._find = find
        self._commit = commit
        self._ends = Endpointing(config, scoring=turn_model is not None)
        self._floor = Floor(config, conversation)
        self._tape = Tape(WINDOW_S * MODEL_RATE)
        self._activity: Activity | None = None
        self._said: _Said | None = None
        self._began = 0  # the sample where that begins
        self._state = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._tell("listening")

    @property
    def under_way(self) -> bool:
        return self._said is not None

    def hear(self, pcm: Int16) -> None:
        self._tape.append(pcm)
        if self._said is not None:
            self._said.feed(pcm)
            if self._said.dictation.is_full and self._activity is not None:  # longer than an utterance may be
                self._ends.drop()
                self._finish(self._said)
        for activity in self._voice.push(pcm):
            self._hop(activity)

    def _hop(self, activity: Activity) -> None:
        self._activity = activity
        decision = self._ends.hear(activity)
        if self._said is None and self._ends.under_way:
            self._begin(activity)
        if (said := self._said) is not None and self._floor.hear(activity, said.text, said.is_known):
            said.ask()
        self._act(decision)
        self._mind_the_floor()

    def _act(self, decision: Decision) -> None:
        if (said := self._said) is None:
            return
        if decision is Decision.LOOK:
            said.look(self._ends.look)
            self._ends.reads = said.dictation.answers_pauses
            if self._turn_model is not None:
                self._start(self._score(self._turn_model, self._ends.look))
        elif decision is Decision.CONTINUE:
            said.go_on()
            self._conversation.never_mind()
        elif decision is Decision.END:
            self._finish(said)
        elif decision is Decision.NOTHING:
            self._drop()

    def _begin(self, activity: Activity) -> None:
        self._tell("hearing")
        self._began = activity.began
        self._said = _Said(self._find, self._config.stt_max_utterance_s, self._understood)
        self._said.feed(self._tape.since(activity.began))

    async def _score(self, model: SmartTurn, look: int) -> None:
        score = await self._attention.finished(model, self._tape.since(self._began))
        self._act(self._ends.scored(look, score))

    def _understood(self, said: _Said, transcript: Transcript) -> None:
        """Words so far, while the speech lasts or just after it."""
        if said is not self._said or self._activity is None:
            return
        self._floor.weigh(self._activity, said.text, said.is_known)
        self._mind_the_floor()
        if not self._floor.is_contested:
            self._conversation.emit("transcript", {"text": transcript.text, "is_final": False})
        if said.is_known:
            decision = self._ends.understood(said.looked_at, transcript.text)
            if decision is Decision.WAIT and self._config.speculate:
                self._conversation.ask_ahead(transcript.text.strip())
            self._act(decision)

    def _mind_the_floor(self) -> None:
        if self._floor.cut_wanted:
            self._start(self._floor.cut())
        elif self._floor.dismissed and self._said is not None:  # what is said next is heard anew, and pauses anew
            self._ends.drop()
            self._drop()

    def _finish(self, said: _Said) -> None:
        """The turn is over; its words are on their way, if they are not here already."""
        assert self._activity is not None
        now = time.time()
        silence_s = self._activity.silence_ms / 1000
        heard = Heard(now - silence_s, vad_decision_at=said.looked_wall or now, committed_at=now)
        self._said = None
        said.end()
        self._tell("listening")
        self._start(self._conclude(said, heard, self._activity))

    async def _conclude(self, said: _Said, heard: Heard, activity: Activity) -> None:
        try:
            async with asyncio.timeout(self._config.stt_timeout_s):
                text = await self._words(said)
            self._floor.settle(activity, text)
            meant = not self._floor.is_contested and bool(text)
            await self._floor.cut()
            if self._said is None:
                self._floor.over()
            if meant:
                known_at = said.known_wall or time.time()
                await self._commit(text, Heard(heard.speech_ended_at, heard.vad_decision_at, known_at, time.time()))
        except TimeoutError:
            self._failed(f"the recogniser took longer than {self._config.stt_timeout_s:g} s")
        except (STTError, StoreError) as error:
            self._failed(str(error))
        except Exception as error:  # whatever an engine may raise: an avatar that holds still must go on
            log.exception("%s: an utterance failed", self._conversation.session_id)
            self._failed(str(error) or type(error).__name__)

    def _failed(self, message: str) -> None:
        self._floor.over()
        self._conversation.emit("error", {"code": "STT_FAILED", "message": message})

    async def _words(self, said: _Said) -> str:
        """All that was said. However long that takes, the avatar is not held for longer than it may be."""
        words = asyncio.ensure_future(said.dictation.text())
        await asyncio.wait([words], timeout=self._config.barge_in_wait_ms / 1000)
        if not words.done():
            self._floor.give_up()
        return await words

    def _drop(self) -> None:
        """It was nothing."""
        if self._said is not None:
            self._said.dictation.drop()
            self._said = None
        if self._activity is not None:
            self._floor.settle(self._activity, "")
        self._floor.over()
        self._tell("listening")

    def _tell(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._conversation.emit("listening", {"state": state})

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("%s", self._conversation.session_id, exc_info=error)

    def close(self) -> None:
        """Nothing more comes. What was said counts; what was asked of models does not."""
        if (said := self._said) is not None and self._activity is not None and self._activity.speech_ms:
            self._finish(said)
        self._tell("off")

    def abandon(self) -> None:
        """The session is over."""
        for task in self._tasks:
            task.cancel()
        if self._said is not None:
            self._said.dictation.drop()


class _Said:
    """What is being said: its recognition, and the silence that is kept from it until speech goes on."""

    def __init__(
        self,
        find: Find,
        longest_s: float,
        told: Callable[[_Said, Transcript], None],
    ) -> None:
        self.dictation = Dictation(find, longest_s, self._understood)
        self._told = told
        self.text: str | None = None  # so far
        self._covered = 0  # samples that `text` is of
        self._held: list[Int16] | None = None  # since the last look
        self.looked_at = 0  # number of that look
        self.looked_wall: float | None = None
        self.known_wall: float | None = None  # when all words up to that look were known

    @property
    def is_known(self) -> bool:
        """Whether `text` is all that was said up to the last look, and nothing was said since."""
        return self.text is not None and self._held is not None and self._covered >= self.dictation.samples

    def feed(self, pcm: Int16) -> None:
        if self._held is None:
            self.dictation.feed(pcm)
        else:
            self._held.append(pcm.copy())

    def ask(self) -> None:
        """Have what was said so far recognised, though it goes on."""
        if self._held is None:
            self.dictation.pause()

    def look(self, number: int) -> None:
        """Silence: have all of it recognised, and keep the rest of the silence."""
        self.looked_at, self.looked_wall, self.known_wall = number, time.time(), None
        self._held = []
        self.dictation.pause()

    def go_on(self) -> None:
        held, self._held = self._held, None
        for pcm in held or ():
            self.dictation.feed(pcm)

    def end(self) -> None:
        self.dictation.end()

    def _understood(self, transcript: Transcript) -> None:
        self.text, self._covered = transcript.text, transcript.samples
        if self.is_known and self.known_wall is None:
            self.known_wall = time.time()
        self._told(self, transcript)

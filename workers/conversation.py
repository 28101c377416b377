"""A session as the speech process has it: its turns, one at a time, and what the playout says of them.

    command ──> begin(turn) ──> turn.run … pcm ring ──> … ──> rtc
                   │                                            │ marks
                   │   first fragment sounds ───────────────────┤──> speech.media_started, state speaking
                   │   each fragment sounds ────────────────────┤──> subtitle.chunk
                   │   it pauses, and goes on ──────────────────┤──> speech.paused, speech.resumed
                   │   turn ended, or cut at a sample ──────────┴──> speech.ended, history, state ready
                   └── generation raised: the task is cancelled at once; what was heard is known when the cut is marked

Nothing is told to the client by guess: subtitles, the end and the history follow the marks. Events leave in order
through one outbox, so that nobody waits for Redis.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from opentalking.config import Settings
from opentalking.llm.base import LLMAdapter, LLMError, Usage
from opentalking.llm.conversation import Conversation, Entry, room_for_history
from opentalking.llm.heard import join_fragments
from opentalking.llm.thoughts import Habit
from opentalking.store import Chat, Event, Seen, Session, Speak, Store, StoreError
from opentalking.tts.base import TTSError
from opentalking.tts.policy import TurnVoice, VoiceChain, Wanted
from opentalking.types import PLAYBACK_RATE
from shm import Mark, MarkKind, Writer
from workers import links
from workers.ahead import Ahead, HeadStart
from workers.answer import answer
from workers.failures import Failure, failure_of
from workers.lost import lost_turn
from workers.recorder import Recorder, trace_of
from workers.reporter import Reporter
from workers.turn import NothingToSay, Turn, reply_deltas, verbatim

log = logging.getLogger(__name__)

CUT_MARK_WAIT_S = 0.25  # rtc marks a cut within a packet; it may also have died


@dataclass(slots=True)
class Pause:
    """Why the turn holds still, for the events: when it was decided, and what let it go on."""

    decided_at: float = 0.0
    reason: str = ""


class ConversationSession:
    """One session's turns. All methods run in the loop's thread."""

    def __init__(
        self,
        session: Session,
        folder: Path,
        config: Settings,
        store: Store,
        llm: LLMAdapter,
        remembered: Iterable[Entry] = (),
        recorder: Recorder | None = None,
        habit: Habit | None = None,
    ) -> None:
        """`remembered`: the history that a process before this one kept. `recorder`: that of this process. `habit`: of
        its model."""
        self.session = session
        self.session_id = session.session_id
        self._config = config
        self._store = store
        self._llm = llm
        self._habit = habit or Habit()
        self.board = links.open_board(folder, Writer.SPEECH)
        self.board.raise_generation(session.generation)
        self._ring = links.pcm_producer(folder)
        room = room_for_history(config.llm_context_tokens, config.llm_max_tokens)
        prompt = session.llm_system_prompt or config.llm_system_prompt
        self._conversation = Conversation(prompt, config.llm_history_turns, remembered, room)
        self._begun = max(session.turn, int((session.last_turn or {}).get("generation", 0)))  # newest turn begun ever
        self._last_fragment: int | None = None  # the turn is over when a later one begins to sound
        self._ending: set[asyncio.Task[None]] = set()
        self._turn: Turn | None = None
        self._failure: Failure | None = None  # of the turn that is heard to its end all the same
        self._task: asyncio.Task[None] | None = None  # of the newest turn; it may outlive the turn by a moment
        self._turn_over = asyncio.Event()
        self._turn_over.set()
        self._report = Reporter(session, store, self.board, recorder or Recorder())
        self._ahead = Ahead(llm)
        self._pause = Pause()
        self.board.write_paused(0)  # whoever spoke to the process before this one is not heard out any more
        self.board.listen(self._read_marks)

    def emit(self, event: str, data: dict[str, Any]) -> None:
        """Tell the client, after what it was told before."""
        self._report.outbox.emit(event, data)

    def _keep_history(self) -> None:
        entries = self._conversation.entries()
        self._report.outbox.put(lambda: self._store.keep_history(self.session_id, entries))

    # --- turns

    async def begin(self, command: Speak | Chat, voices: VoiceChain) -> None:
        """Start a turn; the one before it is over first, so that the history knows what was heard of it."""
        if command.generation <= self._begun:
            log.info("%s: turn %d came again", self.session_id, command.generation)
            return
        self._begun = command.generation
        self.raise_generation(command.generation)
        await self._turn_over.wait()
        await self._ring_is_free()
        trace = trace_of(command)
        turn = Turn(trace, self._report.of(command.generation))
        asked = command.prompt if isinstance(command, Chat) else command.text
        trace.note("dispatched_ms")
        self._report.of(turn.generation)("speech.started", {"text": asked, "kind": trace.kind})
        if turn.kind == "chat":
            self._conversation.add_user(asked)
            self._keep_history()
            self._conversation.begin_assistant()
        if command.generation < self.board.generation:  # interrupted before it began: it was asked all the same
            self._report.never_began(turn)
            return
        self._report.begun(turn)
        self._turn, self._last_fragment = turn, None
        self._turn_over.clear()
        voice = TurnVoice(voices, self._wanted(command, voices.default), self._report.of(turn.generation))
        self._task = asyncio.create_task(self._run(turn, asked, voice))

    def _wanted(self, command: Speak | Chat, default: str) -> Wanted:
        """Who speaks this turn: what it names, else what the session does. A voice and a model belong to an engine."""
        session = self.session
        own = session.tts_provider or default
        if command.tts_provider not in ("", own):
            return Wanted(command.tts_provider, command.tts_voice, command.tts_model)
        return Wanted(own, command.tts_voice or session.tts_voice, command.tts_model or session.tts_model)

    async def choose_voice(self) -> None:
        """The session's hash names another voice; turns that begin from now on are spoken by it. Raises StoreError."""
        if (found := await self._store.get_session(self.session_id)) is not None:
            chosen = {name: getattr(found, name) for name in ("tts_provider", "tts_voice", "tts_model")}
            self.session = msgspec.structs.replace(self.session, **chosen)

    async def _ring_is_free(self) -> None:
        """Until the turn before, which is over, has let go of the ring: it takes one producer at a time."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, turn: Turn, asked: str, voice: TurnVoice) -> None:
        emit = self._report.of(turn.generation)
        emit("status", {"stage": "thinking"})
        ahead: HeadStart | None = None
        spent: list[Usage] = []
        deltas: AsyncGenerator[str, None] = verbatim(asked)
        if turn.kind == "chat":
            ahead = self._ahead.take(self._conversation.messages())
            if ahead is not None and ahead.first_token_at is not None:
                turn.trace.note("llm_first_token_ms", ahead.first_token_at)
            reply = answer(self._llm, self._conversation, ahead, spent.append)
            deltas = reply_deltas(reply, turn, emit, self._habit)
        try:
            await turn.run(deltas, self._config, voice, self._ring)
        except (LLMError, TTSError, NothingToSay) as error:
            failure = failure_of(turn, error)
            log.warning("%s: turn %d failed: %s", self.session_id, turn.generation, failure)
            self._fail(turn, failure)
        except Exception as error:
            log.exception("%s: turn %d failed", self.session_id, turn.generation)
            self._fail(turn, failure_of(turn, error))
        else:
            if turn.kind == "chat":
                emit("assistant.message", {"text": turn.text})
        finally:
            for usage in spent:
                emit("llm.usage", msgspec.structs.asdict(usage))
            if ahead is not None:
                ahead.drop()

    # --- while somebody else speaks

    @property
    def turn_in_progress(self) -> int:
        """Generation of the turn that is thought of, made or heard; 0 for none."""
        return self._turn.generation if self._turn is not None else 0

    def ask_ahead(self, text: str) -> None:
        """Ask the model now, in case this is all that is said. Not while a turn is in progress: what will have been
        heard of it belongs to the question."""
        if self._turn is None and text:
            self._ahead.ask(self._conversation.messages(text))

    def never_mind(self) -> None:
        """That was not all; what was asked ahead is not wanted."""
        self._ahead.drop()

    def pause(self, generation: int, decided_at: float) -> None:
        """Let the turn hold still, sound and mouth, until `resume` or until its generation is over."""
        if generation == self.turn_in_progress:
            self._pause = Pause(decided_at)
            self.board.write_paused(generation)

    def resume(self, reason: str) -> None:
        """Go on where it paused, because it was not meant to stop."""
        self._pause.reason = reason
        self.board.write_paused(0)

    def left_ms(self) -> float | None:
        """How long the turn in progress goes on from where the playout is; None while that is not known."""
        turn, cursor = self._turn, self.board.cursor
        made = turn is not None and self._task is not None and self._task.done()
        if turn is None or not made or cursor.generation != turn.generation:
            return None
        samples = sum(fragment.samples for fragment in turn.fragments[cursor.fragment :]) - cursor.sample
        return samples * 1000 / PLAYBACK_RATE

    def spoken_lately(self) -> str:
        """The words around the playout cursor: what a microphone may hear of the avatar."""
        turn, cursor = self._turn, self.board.cursor
        if turn is None or cursor.generation != turn.generation:
            return ""
        first = max(0, cursor.fragment - 1)
        return join_fragments([fragment.text for fragment in turn.fragments[first : cursor.fragment + 1]])

    def _fail(self, turn: Turn, failure: Failure) -> None:
        """A turn that cannot go on. If its end is in the ring, the failure is told when it is over; if not, it is ended
        for everybody, or the playout would wait for its end."""
        if turn.made and turn is self._turn:
            self._failure = failure
            return
        self._report.failed(turn, failure)
        if not turn.made:
            self._report.outbox.put(lambda: self._end_generation(turn.generation))

    async def _end_generation(self, generation: int) -> None:
        self.raise_generation(await self._store.next_generation(self.session_id, only=generation))

    def lost(self, generation: int, events: Iterable[Event]) -> None:
        """The process before this one died in this turn. `events`: the session's so far."""
        turn = lost_turn(generation, events, self.board.cursor)
        if turn.asked is not None:
            if self._conversation.entries()[-1:] != [Entry("user", turn.asked)]:
                self._conversation.add_user(turn.asked)
            self._conversation.begin_assistant()
            self._conversation.commit_heard(turn.heard, interrupted=True)
            self._keep_history()
        self._report.lost(generation, turn.heard, turn.asked)

    def raise_generation(self, generation: int) -> None:
        """Whatever is older is over: stop making it now, account for what was heard when the playout says so."""
        self.board.raise_generation(generation)
        turn = self._turn
        if turn is None or turn.generation >= self.board.generation:
            return
        self._stop_making()
        if self.board.cursor.generation == turn.generation:
            asyncio.get_running_loop().call_later(CUT_MARK_WAIT_S, self._cut_unmarked, turn)
        else:
            self._finish(turn, "", interrupted=True)

    def _stop_making(self) -> None:
        """Close the model's request and abort the voice."""
        if self._task is not None:
            self._task.cancel()

    def _cut_unmarked(self, turn: Turn) -> None:
        """No mark came: the playout died with the turn. The cursor says what it had handed out."""
        if self._turn is turn:
            cursor = self.board.cursor
            self._finish(turn, turn.heard(cursor.fragment, cursor.sample), interrupted=True)

    # --- what the playout says

    def _read_marks(self) -> None:
        for mark in self.board.read_marks():
            turn = self._turn
            if turn is not None and mark.generation == turn.generation:
                self._follow(turn, mark)

    def _follow(self, turn: Turn, mark: Mark) -> None:
        if mark.kind is MarkKind.FRAGMENT_STARTED and self._is_past_the_end(mark.fragment):
            self._end_soon(turn.generation)
        elif mark.kind is MarkKind.FRAGMENT_STARTED:
            self._report.fragment_started(turn, mark)
        elif mark.kind is MarkKind.PAUSED:
            self._report.paused(turn, mark, self._pause.decided_at)
        elif mark.kind is MarkKind.RESUMED:
            self._report.resumed(turn, mark, self._pause.reason)
        elif mark.kind is MarkKind.PROGRESS:
            self._report.progress(turn)
        elif mark.kind is MarkKind.TURN_CUT:
            self._finish(turn, turn.heard(mark.fragment, mark.sample), interrupted=True, last_sample_at=mark.time)
        else:
            self._finish(turn, turn.text, interrupted=False)

    def seen(self, report: Seen) -> None:
        """What the browser itself heard and saw of the turn in progress, or of the last one."""
        self._report.seen(report, self._turn)

    def _finish(self, turn: Turn, heard: str, interrupted: bool, last_sample_at: float | None = None) -> None:
        """The turn is over; exactly once. `last_sample_at`: when a cut turn's last sample was handed to RTP."""
        failure, self._turn, self._failure = self._failure, None, None
        self.board.write_paused(0)
        if interrupted:  # the playout may have heard of it before us
            self._stop_making()
        if turn.kind == "chat":
            self._conversation.commit_heard(heard, interrupted or failure is not None)
            self._keep_history()
        if failure is not None:
            self._report.failed(turn, failure)
        self._report.over(turn, heard, interrupted, last_sample_at)
        self._turn_over.set()
        if self._last_fragment is not None:
            self._end_soon(turn.generation)  # who asked for the end waits for the generation that follows it

    def wind_up(self, generation: int) -> None:
        """End this turn, for everybody, with the sentence that is being heard (or the first, before it sounds)."""
        turn = self._turn
        if turn is None or turn.generation != generation:
            self._end_soon(generation)
        elif self._last_fragment is None:
            cursor = self.board.cursor
            self._last_fragment = cursor.fragment if cursor.generation == generation else 0

    def _is_past_the_end(self, fragment: int) -> bool:
        return self._last_fragment is not None and fragment > self._last_fragment

    def _end_soon(self, generation: int) -> None:
        async def end() -> None:
            with contextlib.suppress(StoreError):
                await self._end_generation(generation)

        task = asyncio.create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def cut(self, reason: str) -> None:
        """Stop the turn in progress for everybody, because its listener wants to speak. Raises StoreError."""
        if (generation := self.turn_in_progress) == 0:
            return
        self.raise_generation(await self._store.next_generation(self.session_id, only=generation))
        self._report.cut(generation, reason)

    async def drain(self, bound_s: float) -> None:
        """Let the sentence that is being heard come to its end; one that takes longer than `bound_s` is interrupted."""
        if (turn := self._turn) is None:
            return
        self.wind_up(turn.generation)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._turn_over.wait(), bound_s)
        with contextlib.suppress(StoreError):
            await self._end_generation(turn.generation)  # the other workers may be waiting for it
            await self._turn_over.wait()

    async def close(self) -> None:
        if (turn := self._turn) is not None:
            cursor = self.board.cursor
            mine = cursor.generation == turn.generation
            self._report.abandoned(turn, turn.heard(cursor.fragment, cursor.sample) if mine else "")
        self._turn = None  # no mark is waited for any more
        for task in self._ending:
            task.cancel()
        self._stop_making()
        await self._ring_is_free()
        self._ahead.drop()
        await self._report.outbox.close()
        self._ring.close()
        self.board.close()

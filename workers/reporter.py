"""What a session's client, its hash and the counts are told of its turns: nothing by guess, all by the playout's marks.

speech.started ─> status thinking ─> first fragment sounds: speech.media_started, speech.timing, status speaking
                    each fragment: subtitle.chunk     each second: frame     speech.paused, speech.resumed
─> speech.ended, speech.timing, status idle or interrupted; the trace into the hash, the histograms, the spans
"""

from __future__ import annotations

from typing import Any

from opentalking.store import Seen, Session, Store
from opentalking.types import FPS, FRAME_MS, PLAYBACK_RATE
from shm import Board, Mark
from workers.failures import Failure
from workers.outbox import Outbox
from workers.recorder import Recorder, TurnTrace
from workers.turn import Emit, Turn

_MEDIA_STATUS = {False: "idle", True: "interrupted"}


class Reporter:
    """One session's. Every event goes through its outbox, in order."""

    def __init__(self, session: Session, store: Store, board: Board, recorder: Recorder) -> None:
        self._session = session
        self._store = store
        self._board = board
        self._recorder = recorder
        self.outbox = Outbox(store, session.session_id)
        self._last_trace: TurnTrace | None = None  # of the last turn that was over
        self._frames = 0

    def of(self, generation: int) -> Emit:
        """Events of this turn: they carry its generation."""
        return lambda event, data: self.outbox.emit(event, {"generation": generation, **data})

    def begun(self, turn: Turn) -> None:
        generation, zero = turn.generation, turn.trace.zero
        self.outbox.put(lambda: self._store.set_turn(self._session.session_id, generation, zero))

    def fragment_started(self, turn: Turn, mark: Mark) -> None:
        emit = self.of(turn.generation)
        if not turn.sounded:
            turn.sounded = True
            self._first_sound(turn, mark, emit)
        fragment = turn.fragments[mark.fragment]
        last = fragment.complete and mark.fragment == len(turn.fragments) - 1
        data: dict[str, Any] = {"text": fragment.text, "is_final": last, "fragment": mark.fragment}
        if fragment.complete:
            data["duration_ms"] = round(fragment.samples * 1000 / PLAYBACK_RATE)
        emit("subtitle.chunk", data)

    def _first_sound(self, turn: Turn, mark: Mark, emit: Emit) -> None:
        self._frames = 0
        first_frame = self._board.first_frame(turn.generation)
        if first_frame is not None:
            turn.trace.note("first_av_ms", first_frame)
        turn.trace.note("first_rtp_ms", mark.time)
        self.outbox.set_state("speaking")
        sent = {"first_rtp_at": mark.time, "video_timestamp": mark.video_timestamp}
        emit("speech.media_started", {"first_rtp_ms": turn.trace.ms("first_rtp_ms"), **sent})
        emit("speech.timing", turn.trace.told())
        emit("status", {"stage": "speaking"})

    def progress(self, turn: Turn) -> None:
        self.of(turn.generation)("frame", {"frame_idx": self._frames, "pts_ms": self._frames * FRAME_MS})
        self._frames += FPS

    def paused(self, turn: Turn, mark: Mark, decided_at: float) -> None:
        emit = self.of(turn.generation)
        heard = turn.heard(mark.fragment, mark.sample)
        emit("speech.paused", {"decided_at": decided_at, "at": mark.time, "text": heard})
        emit("status", {"stage": "paused"})

    def resumed(self, turn: Turn, mark: Mark, reason: str) -> None:
        emit = self.of(turn.generation)
        self._recorder.barge_in("resumed", reason)
        emit("speech.resumed", {"reason": reason, "at": mark.time})
        emit("status", {"stage": "speaking"})

    def cut(self, generation: int, reason: str) -> None:
        """Whoever spoke over it has stopped it."""
        self._recorder.barge_in("cut", reason)
        self.of(generation)("speech.interrupted", {"reason": reason})

    def failed(self, turn: Turn, failure: Failure) -> None:
        emit, code, message = self.of(turn.generation), failure.code, failure.message
        turn.trace.fail(code)
        emit("error", {"code": code, "message": message, **({"reason": failure.reason} if failure.reason else {})})
        emit("status", {"stage": "error", "message": message})
        self.outbox.put(lambda: self._store.set_error(self._session.session_id, code, message))

    def over(self, turn: Turn, heard: str, interrupted: bool, last_sample_at: float | None = None) -> None:
        """`last_sample_at`: when a cut turn's last sample was handed to RTP, Unix seconds."""
        emit = self.of(turn.generation)
        self._keep(turn, heard, interrupted)
        if turn.sounded:
            self.outbox.set_state("ready")
        ended = {"text": heard, "interrupted": interrupted}
        emit("speech.ended", ended if last_sample_at is None else {**ended, "last_sample_at": last_sample_at})
        emit("speech.timing", turn.trace.told())
        emit("status", {"stage": _MEDIA_STATUS[interrupted]})

    def never_began(self, turn: Turn) -> None:
        """It was interrupted before."""
        self._keep(turn, "", interrupted=True)
        self.of(turn.generation)("speech.ended", {"text": "", "interrupted": True})

    def lost(self, generation: int, heard: str, asked: str | None) -> None:
        """The process before this one died in it."""
        emit = self.of(generation)
        emit("speech.ended", {"text": heard, "interrupted": True})
        emit("status", {"stage": "interrupted"})
        self._recorder.lost("speak" if asked is None else "chat")
        last_turn = {"generation": generation, "interrupted": True, "outcome": "lost", "heard": heard}
        self.outbox.put(lambda: self._store.set_last_turn(self._session.session_id, last_turn))

    def abandoned(self, turn: Turn, heard: str) -> None:
        """The session ends in the midst of it; nobody listens to its events any more."""
        turn.trace.end(heard, interrupted=True)
        self._recorder.over(self._session, turn.trace)
        self._amend(turn.trace)

    def seen(self, report: Seen, turn: Turn | None) -> None:
        """What the browser itself heard and saw of the turn in progress, or of the last one."""
        traces = (turn.trace if turn is not None else None, self._last_trace)
        trace = next((one for one in traces if one is not None and one.generation == report.generation), None)
        if trace is None or not trace.see(report):
            return
        self.of(trace.generation)("speech.timing", trace.told())
        if trace.outcome is not None:
            self._recorder.seen(self._session, trace)
            self._amend(trace)

    def _keep(self, turn: Turn, heard: str, interrupted: bool) -> None:
        turn.trace.end(heard, interrupted)
        self._last_trace = turn.trace
        self._recorder.over(self._session, turn.trace)
        kept = turn.trace.kept()
        self.outbox.put(lambda: self._store.set_last_turn(self._session.session_id, kept))

    def _amend(self, trace: TurnTrace) -> None:
        kept = trace.kept()
        self.outbox.put(lambda: self._store.amend_last_turn(self._session.session_id, kept))

"""The flight recorder: every turn leaves one trace of when it reached what.

    spoken   end of speech ── silence decided ── words final ── turn committed ──┐
    typed    accepted ───────────────────────────────────────────────────────────┴── dispatched ── LLM's first token
             ── first fragment ── first PCM ── first AV slot ── first RTP packet ── first sound, first picture there

A trace is told as `speech.timing`, kept in the session's hash as `last_turn`, counted for Prometheus and, if somebody
collects them, sent as spans. docs/turns.md shows each to a person.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from opentalking.store import Chat, Heard, Seen, Session, Speak

Kind: TypeAlias = Literal["chat", "speak"]
Outcome: TypeAlias = Literal["ended", "interrupted", "failed", "lost"]

STAGES = (  # in the order in which they are normally reached, ms from the turn's zero
    "end_of_speech_ms",
    "vad_decision_ms",
    "stt_final_ms",
    "turn_committed_ms",
    "dispatched_ms",
    "llm_first_token_ms",
    "first_fragment_ms",
    "tts_first_pcm_ms",
    "first_av_ms",
    "first_rtp_ms",
    "browser_first_sound_ms",
    "browser_first_frame_ms",
)
BROWSER_STAGES = STAGES[-2:]

# Seconds; finest around what a conversation feels.
BOUNDS = (0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class Step(NamedTuple):
    """What led to a stage, Unix seconds. Of no length if the stage was reached before the one that it follows."""

    stage: str
    began_at: float
    ended_at: float


class TurnTrace:
    """One turn's moments. Its zero is the end of speech if it was spoken, its acceptance otherwise."""

    def __init__(self, generation: int, kind: Kind, accepted_at: float, heard: Heard | None = None) -> None:
        """`heard`: what whoever listened knows already."""
        self.generation = generation
        self.kind = kind
        self.accepted_at = accepted_at
        self.spoken = heard is not None
        self.zero = accepted_at if heard is None else heard.speech_ended_at
        self.outcome: Outcome | None = None  # None while it is in progress
        self.interrupted = False
        self.ended_at = 0.0
        self.heard = ""
        self.error = ""
        self.jitter_buffer_ms: float | None = None
        self._ms: dict[str, float] = {}
        if heard is not None:
            self.note("end_of_speech_ms", heard.speech_ended_at)
            moments = heard.vad_decision_at, heard.stt_final_at, heard.committed_at
            for stage, at in zip(STAGES[1:4], moments, strict=True):
                if at is not None:
                    self.note(stage, at)

    def note(self, stage: str, at: float | None = None) -> None:
        """Keep when a stage was first reached; `at`: Unix seconds, now if left out. Work that was done ahead may have
        been reached before the zero. Raises ValueError for a stage that there is not."""
        if stage not in STAGES:
            raise ValueError(f"no stage {stage!r}")
        self._ms.setdefault(stage, round(((time.time() if at is None else at) - self.zero) * 1000, 1))

    def ms(self, stage: str) -> float | None:
        """From the zero to a stage; None if it was not reached."""
        return self._ms.get(stage)

    def elapsed_ms(self) -> float:
        """From the zero to now."""
        return round((time.time() - self.zero) * 1000, 1)

    def fail(self, code: str) -> None:
        """It cannot go on; that is its outcome, however it is ended."""
        self.error = code

    def end(self, heard: str, interrupted: bool) -> None:
        """It is over; `heard` of it."""
        self.outcome = "failed" if self.error else "interrupted" if interrupted else "ended"
        self.heard = heard
        self.interrupted = interrupted
        self.ended_at = time.time()

    def see(self, report: Seen) -> bool:
        """The browser's own figures, if this is its first report of this turn."""
        if any(stage in self._ms for stage in BROWSER_STAGES):
            return False
        for stage, at in zip(BROWSER_STAGES, (report.first_sound_at, report.first_frame_at), strict=True):
            if at is not None:
                self.note(stage, at)
        self.jitter_buffer_ms = report.jitter_buffer_ms
        return True

    def told(self) -> dict[str, Any]:
        """`speech.timing`: what is known so far, stages in their order."""
        told: dict[str, Any] = {"generation": self.generation, "kind": self.kind}
        if self.spoken:
            told["speech_ended_at"] = self.zero
        told |= {stage: self._ms[stage] for stage in STAGES if stage in self._ms}
        if self.jitter_buffer_ms is not None:
            told["jitter_buffer_ms"] = self.jitter_buffer_ms
        if self.outcome is not None:
            told |= {"interrupted": self.interrupted, "outcome": self.outcome}
        return told | ({"error": self.error} if self.error else {})

    def kept(self) -> dict[str, Any]:
        """`last_turn` in the session's hash."""
        return {**self.told(), "accepted_at": self.accepted_at, "heard": self.heard}

    def steps(self, stages: Sequence[str] = STAGES) -> list[Step]:
        """Those stages that were reached, each from where the one before it ended: a waterfall."""
        steps, latest = [], self.zero
        for stage in STAGES:
            if stage not in self._ms:
                continue
            at = self.zero + self._ms[stage] / 1000
            if stage in stages:
                steps.append(Step(stage, min(latest, at), at))
            latest = max(latest, at)
        return steps


def trace_of(command: Speak | Chat) -> TurnTrace:
    """The trace of the turn that this command begins."""
    if isinstance(command, Chat):
        return TurnTrace(command.generation, "chat", command.accepted_at, command.heard)
    return TurnTrace(command.generation, "speak", command.accepted_at)


class Recorder:
    """What one process tells of all its turns. Counts only grow while it lives."""

    def __init__(self) -> None:
        self._stages: dict[tuple[str, str], _Histogram] = {}  # (kind, stage)
        self._turns: dict[tuple[str, str], int] = {}  # (kind, outcome)
        self._barge_ins: dict[tuple[str, str], int] = {}  # (outcome, reason)
        self.watch: Callable[[Session, TurnTrace, Sequence[str]], None] | None = None  # told of the same, too

    def over(self, session: Session, trace: TurnTrace) -> None:
        """A turn has ended: all that was noted counts, once."""
        assert trace.outcome is not None
        _count(self._turns, (_label(trace), trace.outcome))
        self._observe(session, trace, STAGES)

    def seen(self, session: Session, trace: TurnTrace) -> None:
        """The browser's figures of a turn that was over came."""
        self._observe(session, trace, BROWSER_STAGES)

    def lost(self, kind: str) -> None:
        """A turn that the process before this one took with it."""
        _count(self._turns, (kind, "lost"))

    def barge_in(self, outcome: Literal["cut", "resumed"], reason: str) -> None:
        """Somebody spoke over the avatar, which was cut short or spoke on."""
        _count(self._barge_ins, (outcome, reason))

    def info(self) -> dict[str, Any]:
        """For the heartbeat; `stages` holds, for each kind and stage, cumulative counts and the sum of seconds."""
        stages = [[kind, stage, *histogram.told()] for (kind, stage), histogram in self._stages.items()]
        return {
            "recorder": {
                "bounds": BOUNDS,
                "stages": stages,
                "turns": [[*labels, count] for labels, count in self._turns.items()],
                "barge_ins": [[*labels, count] for labels, count in self._barge_ins.items()],
            }
        }

    def _observe(self, session: Session, trace: TurnTrace, stages: Sequence[str]) -> None:
        for stage in stages[stages[0] == STAGES[0] :]:  # the end of speech is the zero
            if (elapsed_ms := trace.ms(stage)) is not None:
                key = _label(trace), stage.removesuffix("_ms")
                self._stages.setdefault(key, _Histogram()).observe(elapsed_ms / 1000)
        if self.watch is not None:
            self.watch(session, trace, stages)


class _Histogram:
    """Counts by bucket."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """What was there before the zero took no time: a sum that fell would be read as a restart."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._sum += max(0.0, seconds)

    def told(self) -> tuple[list[int], float]:
        """How many were at most each bound, then all; and their sum."""
        cumulative, total = [], 0
        for count in self._counts:
            total += count
            cumulative.append(total)
        return cumulative, round(self._sum, 6)


def _label(trace: TurnTrace) -> str:
    """What is told apart in the counts: the zeros of spoken and typed turns are not the same moment."""
    return "spoken" if trace.spoken else trace.kind


def _count(counts: dict[tuple[str, str], int], labels: tuple[str, str]) -> None:
    counts[labels] = counts.get(labels, 0) + 1

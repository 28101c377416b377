"""A turn's trace: its zero, its order, what counts once; and the counts of a process."""

from __future__ import annotations

import pytest

from opentalking.store import Heard, Seen, Session
from tests.unit.store.sessions import SID, new_session
from workers.recorder import BOUNDS, STAGES, Recorder, Step, TurnTrace

NOON = 1_784_112_042.0
SESSION = Session.from_hash(new_session().to_hash())


def spoken(generation: int = 7) -> TurnTrace:
    return TurnTrace(generation, "chat", NOON + 0.42, Heard(NOON, NOON + 0.128, NOON + 0.4, NOON + 0.41))


def report(generation: int = 7, sound_at: float | None = NOON + 0.8, frame_at: float | None = NOON + 0.83) -> Seen:
    return Seen(SID, generation, sound_at, frame_at, 41.0)


def test_a_typed_turn_counts_from_its_acceptance() -> None:
    trace = TurnTrace(3, "speak", NOON)
    trace.note("dispatched_ms", NOON + 0.002)
    trace.note("first_rtp_ms", NOON + 0.1301)
    assert trace.told() == {"generation": 3, "kind": "speak", "dispatched_ms": 2.0, "first_rtp_ms": 130.1}
    assert trace.kept()["accepted_at"] == NOON


def test_a_spoken_turn_counts_from_the_end_of_speech_and_knows_what_its_listener_knew() -> None:
    trace = spoken()
    trace.note("dispatched_ms", NOON + 0.425)
    assert trace.told() == {
        "generation": 7,
        "kind": "chat",
        "speech_ended_at": NOON,
        "end_of_speech_ms": 0.0,
        "vad_decision_ms": 128.0,
        "stt_final_ms": 400.0,
        "turn_committed_ms": 410.0,
        "dispatched_ms": 425.0,
    }
    assert trace.kept()["accepted_at"] == NOON + 0.42


def test_of_what_a_button_ends_nothing_is_made_up() -> None:
    told = TurnTrace(1, "chat", NOON, Heard(NOON, stt_final_at=NOON + 0.3)).told()
    assert "vad_decision_ms" not in told and "turn_committed_ms" not in told
    assert told["stt_final_ms"] == 300.0


def test_work_done_ahead_may_come_before_the_zero_and_the_first_time_counts() -> None:
    trace = spoken()
    trace.note("llm_first_token_ms", NOON - 0.05)
    trace.note("llm_first_token_ms", NOON + 0.6)
    assert trace.ms("llm_first_token_ms") == -50.0


def test_stages_are_told_in_their_order_whenever_they_were_noted() -> None:
    trace = spoken()
    for number, stage in enumerate(reversed(STAGES[4:])):
        trace.note(stage, NOON + number)
    assert [name for name in trace.told() if name in STAGES] == list(STAGES)


def test_a_stage_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="first_kiss_ms"):
        spoken().note("first_kiss_ms")


def test_the_browsers_first_report_of_a_turn_counts_and_no_other() -> None:
    trace = spoken()
    assert trace.see(report())
    assert not trace.see(report(sound_at=NOON + 5, frame_at=NOON + 5))
    told = trace.told()
    assert (told["browser_first_sound_ms"], told["browser_first_frame_ms"]) == (800.0, 830.0)
    assert told["jitter_buffer_ms"] == 41.0


def test_a_report_of_the_picture_alone_is_a_report() -> None:
    trace = spoken()
    assert trace.see(report(sound_at=None))
    assert not trace.see(report())
    assert trace.ms("browser_first_sound_ms") is None


@pytest.mark.parametrize(
    ("error", "interrupted", "outcome"),
    [("", False, "ended"), ("", True, "interrupted"), ("LLM_FAILED", True, "failed")],
)
def test_how_a_turn_ended(error: str, interrupted: bool, outcome: str) -> None:
    trace = spoken()
    assert "outcome" not in trace.told()
    if error:
        trace.fail(error)
    trace.end("It is", interrupted)
    kept = trace.kept()
    assert (kept["outcome"], kept["interrupted"], kept["heard"]) == (outcome, interrupted, "It is")
    assert kept.get("error", "") == error
    assert "heard" not in trace.told()  # told by speech.ended


def test_each_step_begins_where_the_one_before_it_ended_and_one_done_ahead_has_no_length() -> None:
    trace = TurnTrace(1, "chat", NOON, Heard(NOON, stt_final_at=NOON + 0.5))
    trace.note("llm_first_token_ms", NOON + 0.375)
    trace.note("first_fragment_ms", NOON + 0.625)
    assert trace.steps() == [
        Step("end_of_speech_ms", NOON, NOON),
        Step("stt_final_ms", NOON, NOON + 0.5),
        Step("llm_first_token_ms", NOON + 0.375, NOON + 0.375),
        Step("first_fragment_ms", NOON + 0.5, NOON + 0.625),
    ]
    assert [step.stage for step in trace.steps(["first_fragment_ms"])] == ["first_fragment_ms"]


def test_counts_are_cumulative_and_what_was_done_ahead_took_no_time() -> None:
    recorder = Recorder()
    for first_token_ms in (-50, 25, 26, 60_000):
        trace = spoken()
        trace.note("llm_first_token_ms", NOON + first_token_ms / 1000)
        trace.end("", interrupted=False)
        recorder.over(SESSION, trace)
    stages = {stage: (counts, total_s) for _, stage, counts, total_s in recorder.info()["recorder"]["stages"]}
    counts, total_s = stages["llm_first_token"]
    assert counts == [2, *[3] * (len(BOUNDS) - 1), 4]
    assert total_s == pytest.approx(0.025 + 0.026 + 60)
    assert "end_of_speech" not in stages  # it is the zero


@pytest.mark.parametrize("before_the_end", [True, False])
def test_the_browsers_stages_count_once_whenever_its_report_comes(before_the_end: bool) -> None:
    recorder, trace = Recorder(), spoken()
    if before_the_end:
        trace.see(report())
    trace.end("", interrupted=False)
    recorder.over(SESSION, trace)
    if not before_the_end:
        trace.see(report())
        recorder.seen(SESSION, trace)
    found = {stage: counts[-1] for _, stage, counts, _ in recorder.info()["recorder"]["stages"]}
    assert found["browser_first_sound"] == found["browser_first_frame"] == found["stt_final"] == 1


def test_turns_and_barge_ins_are_counted_by_what_became_of_them() -> None:
    recorder = Recorder()
    for trace, interrupted in ((spoken(), True), (spoken(), True), (TurnTrace(1, "speak", NOON), False)):
        trace.end("", interrupted)
        recorder.over(SESSION, trace)
    recorder.lost("chat")
    recorder.barge_in("resumed", "cough")
    recorder.barge_in("cut", "barge_in")
    told = recorder.info()["recorder"]
    assert sorted(told["turns"]) == [["chat", "lost", 1], ["speak", "ended", 1], ["spoken", "interrupted", 2]]
    assert sorted(told["barge_ins"]) == [["cut", "barge_in", 1], ["resumed", "cough", 1]]

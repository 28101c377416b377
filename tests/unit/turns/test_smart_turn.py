"""The turn model on real speech, whole and cut; and a whole microphone, from sound to the end of the turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.turns.endpointing import Decision, Endpointing
from opentalking.turns.smart_turn import WINDOW_S, SmartTurn, load_smart_turn
from opentalking.turns.vad import SileroModel, VoiceActivity
from opentalking.types import MODEL_RATE, Int16
from tests.unit.turns.conftest import room

Say = Callable[[str], Int16]
FINISHED = ["What is the weather like today?", "How far is the moon from the earth?", "I would like a table for two."]
UNFINISHED = ["I was thinking that maybe we could", "Well, um,", "My favourite colours are red, blue, and"]


@pytest.fixture(scope="module")
def smart_turn() -> SmartTurn:
    return SmartTurn(Settings())


def spoken(pcm: Int16) -> Int16:
    """As it is at a look: with a little silence behind."""
    loud = np.flatnonzero(np.abs(pcm) > 500)
    return np.concatenate([pcm[: loud[-1]], room(0.2)])


def test_what_is_finished_scores_above_what_is_not(smart_turn: SmartTurn, say: Say) -> None:
    finished = [smart_turn.finished(spoken(say(text))) for text in FINISHED]
    unfinished = [smart_turn.finished(spoken(say(text))) for text in UNFINISHED]
    assert np.median(finished) > 0.7
    assert np.median(unfinished) < 0.3
    assert all(0 <= score <= 1 for score in finished + unfinished)


def test_a_sentence_cut_in_the_middle_scores_below_the_whole_one(smart_turn: SmartTurn, say: Say) -> None:
    wholes, halves = [], []
    for text in FINISHED:
        pcm = say(text)
        wholes.append(smart_turn.finished(spoken(pcm)))
        halves.append(smart_turn.finished(np.concatenate([pcm[: len(pcm) * 55 // 100], room(0.1)])))
    assert np.mean(halves) < np.mean(wholes) - 0.3


def test_only_the_last_seconds_are_heard_and_loudness_hardly_matters(smart_turn: SmartTurn, say: Say) -> None:
    long = np.concatenate([say(text) for text in FINISHED * 3])
    window = long[-WINDOW_S * MODEL_RATE :]
    assert len(long) > len(window)
    assert smart_turn.finished(long) == smart_turn.finished(window)
    assert smart_turn.finished(window // 2) == pytest.approx(smart_turn.finished(window), abs=0.2)


@pytest.mark.parametrize("samples", [0, 1, 320])
def test_hardly_any_sound_has_a_score_too(smart_turn: SmartTurn, samples: int) -> None:
    assert 0 <= smart_turn.finished(np.zeros(samples, np.int16)) <= 1


def test_without_the_model_silence_alone_ends_turns_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert load_smart_turn(Settings(turn_model="none")) is None
    assert caplog.messages == []
    assert load_smart_turn(Settings(turn_model_path="/no/turn.onnx")) is None
    assert caplog.messages == ["silence alone ends a turn: OPENTALKING_TURN_MODEL_PATH: there is no file /no/turn.onnx"]
    assert isinstance(load_smart_turn(Settings()), SmartTurn)


def microphone(silero: SileroModel, smart_turn: SmartTurn, pcm: Int16, text: str) -> list[tuple[Decision, float]]:
    """What is decided, and at which second, if words and score come at once."""
    stream, endpointing = VoiceActivity(silero, Settings()), Endpointing(Settings(), scoring=True)
    noted = []
    began = 0
    for at in range(0, len(pcm), 320):
        for activity in stream.push(pcm[at : at + 320]):
            began = began if endpointing.under_way else activity.began
            decisions = [endpointing.hear(activity)]
            if decisions[0] is Decision.LOOK:
                score = smart_turn.finished(pcm[began : activity.position])
                decisions += [
                    endpointing.scored(endpointing.look, score),
                    endpointing.understood(endpointing.look, text),
                ]
            noted += [(one, activity.position / MODEL_RATE) for one in decisions if one is not Decision.WAIT]
    return noted


def test_three_sentences_with_pauses_are_three_turns(silero: SileroModel, smart_turn: SmartTurn, say: Say) -> None:
    pcm, ends = room(1), []
    for text in FINISHED:
        pcm = np.concatenate([pcm, say(text), room(2)])
        ends.append(len(pcm) / MODEL_RATE - 2)
    noted = microphone(silero, smart_turn, pcm, "all that was said")
    ended = [at for decision, at in noted if decision is Decision.END]
    assert len(ended) == 3
    assert all(-0.1 < at - end < 1.6 for at, end in zip(ended, ends, strict=True))


def test_a_pause_for_thought_does_not_end_the_turn(silero: SileroModel, smart_turn: SmartTurn, say: Say) -> None:
    pcm = np.concatenate([room(1), say(UNFINISHED[0]), room(0.3), say("go to the sea."), room(2)])
    noted = microphone(silero, smart_turn, pcm, "maybe we could")
    decisions = [decision for decision, _ in noted]
    assert Decision.CONTINUE in decisions
    assert decisions.count(Decision.END) == 1 and decisions[-1] is Decision.END

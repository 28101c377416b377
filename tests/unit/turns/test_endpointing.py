"""When a turn is over, in drawn time: a hop is 32 ms, so `___` is the silence at which to look."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentalking.config import Settings
from opentalking.turns.endpointing import Decision, Endpointing, asks_for_more
from opentalking.turns.vad import HOP_MS
from tests.unit.turns.hops import Stream

DEFAULTS = Settings()
LOOK, CONTINUE, END, NOTHING = Decision.LOOK, Decision.CONTINUE, Decision.END, Decision.NOTHING


class Ear:
    """What the listener does: it hears, asks at every look, and notes what was decided in which silence."""

    def __init__(self, scoring: bool = True, **settings: object) -> None:
        chosen = msgspec.structs.replace(DEFAULTS, **settings)
        self.endpointing = Endpointing(chosen, scoring)
        self.noted: list[tuple[Decision, int]] = []
        self.begun = 0  # turns
        self._stream = Stream(chosen)
        self._silence_ms = 0

    def hear(self, hops: str, text: str | None = None, score: float | None = None) -> Ear:
        """`text` and `score` answer every look at once."""
        for activity in self._stream.hear(hops):
            self._silence_ms = activity.silence_ms
            before = self.endpointing.under_way
            decision = self.endpointing.hear(activity)
            self.begun += self.endpointing.under_way and not before
            self._note(decision)
            if decision is LOOK:
                self.answer(text, score)
        return self

    def answer(self, text: str | None = None, score: float | None = None, look: int | None = None) -> Ear:
        look = self.endpointing.look if look is None else look
        if score is not None:
            self._note(self.endpointing.scored(look, score))
        if text is not None:
            self._note(self.endpointing.understood(look, text))
        return self

    def _note(self, decision: Decision) -> None:
        if decision is not Decision.WAIT:
            self.noted.append((decision, self._silence_ms))


def test_a_turn_that_sounds_finished_ends_after_the_shortest_silence() -> None:
    ear = Ear().hear("____########" + "_" * 40, "What is the weather like?", 0.9)
    assert ear.noted == [(LOOK, 96), (END, 320)]


def test_words_that_come_only_at_the_end_are_not_waited_for() -> None:
    ear = Ear()
    ear.endpointing.reads = False
    assert ear.hear("____########" + "_" * 40, None, 0.9).noted == [(LOOK, 96), (END, 320)]
    ear = Ear().hear("____########" + "_" * 40, None, 0.9)
    assert ear.noted[1][0] is END and ear.noted[1][1] >= DEFAULTS.turn_max_silence_ms


def test_a_turn_that_sounds_unfinished_waits_the_longer_the_less_it_does() -> None:
    ends = [Ear().hear("########" + "_" * 60, "I would like", score).noted[-1] for score in (0.49, 0.25, 0.0)]
    assert ends == [(END, 352), (END, 768), (END, 1216)]  # the first hops at 338, 760 and 1200 ms


def test_speech_that_goes_on_makes_the_look_out_of_date_and_the_next_silence_is_looked_at_anew() -> None:
    ear = Ear().hear("########_____###", "I would like", 0.1).hear("####" + "_" * 40, "I would like tea", 0.9)
    assert ear.noted == [(LOOK, 96), (CONTINUE, 0), (LOOK, 96), (END, 320)]


def test_answers_to_an_old_look_change_nothing() -> None:
    ear = Ear().hear("########____####").answer("I would", 0.99, look=1)
    ear.hear("_" * 20).answer("I would", 0.99, look=1)
    assert ear.noted == [(LOOK, 96), (CONTINUE, 0), (LOOK, 96)]
    assert ear.answer("I would like tea", 0.99).noted[-1] == (END, 640)


def test_words_that_come_late_end_the_turn_the_moment_they_come() -> None:
    ear = Ear().hear("########" + "_" * 15, score=0.9)
    assert ear.noted == [(LOOK, 96)]
    assert ear.answer("Hello.").noted[-1] == (END, 480)


def test_nothing_ends_without_words_before_the_longest_silence() -> None:
    assert Ear().hear("########" + "_" * 60, None, 0.9).noted == [(LOOK, 96), (END, 1216)]


def test_a_score_that_does_not_come_is_not_waited_for_longer_than_without_a_model() -> None:
    assert Ear().hear("########" + "_" * 60, "Hello.").noted[-1] == (END, 608)
    assert Ear(scoring=False).hear("########" + "_" * 60, "Hello.").noted[-1] == (END, 608)


def test_speech_without_words_is_no_turn_and_is_forgotten_after_the_shortest_silence() -> None:
    assert Ear().hear("########" + "_" * 60, "", 0.1).noted == [(LOOK, 96), (NOTHING, 320)]
    assert Ear().hear("########" + "_" * 60, "[cough]", 0.9).noted == [(LOOK, 96), (NOTHING, 320)]


def test_a_click_in_the_silence_neither_ends_it_nor_puts_the_end_off() -> None:
    assert Ear().hear("########" + "_____#_______", "Hello.", 0.9).noted == [(LOOK, 96), (END, 320)]


def test_the_end_waits_for_what_may_be_speech_again() -> None:
    ear = Ear().hear("########" + "_" * 9 + "##", "Hello.", 0.9)
    assert ear.noted == [(LOOK, 96)]  # 352 ms since the last word, but two voiced hops
    assert ear.hear("#").noted[-1] == (CONTINUE, 0)
    assert Ear().hear("########" + "_" * 9 + "##__", "Hello.", 0.9).noted[-1] == (END, 384)


def test_a_short_stop_inside_a_word_is_not_looked_at() -> None:
    assert Ear().hear("####__####__####").noted == []


def test_words_that_ask_for_more_are_waited_for() -> None:
    assert Ear().hear("########" + "_" * 60, "I like tea and", 0.9).noted[-1] == (END, 768)  # between 320 and 1200
    assert asks_for_more("Well, um") and asks_for_more("red, blue,") and asks_for_more("红色，")
    assert not asks_for_more("Where are you from?") and not asks_for_more("Yes.") and not asks_for_more(", ")


def test_a_full_stop_proves_nothing() -> None:
    assert Ear().hear("########" + "_" * 60, "I would.", 0.0).noted[-1] == (END, 1216)


def test_without_a_model_a_speaker_of_short_pauses_is_answered_sooner() -> None:
    ear = Ear(scoring=False).hear("########____" * 8 + "########" + "_" * 60, "So.")
    assert ear.noted[-1] == (END, 320)


def test_without_a_model_a_speaker_of_long_pauses_is_given_time() -> None:
    ear = Ear(scoring=False)
    for _ in range(4):  # 640 ms, ended each time at first, and taken up again
        ear.hear("########" + "_" * 20, "So.")
    assert ear.noted[1] == (END, 608)
    assert ear.hear("_" * 60).noted[-1] == (END, 832)  # half as long again as 539: 400, thrice a quarter nearer to 640


def test_pauses_between_turns_are_not_this_speakers_pauses() -> None:
    ear = Ear(scoring=False)
    for _ in range(5):
        ear.hear("########" + "_" * 60, "So.")
    assert {silence for decision, silence in ear.noted if decision is END} == {608}


def test_a_turn_that_was_dropped_does_not_end() -> None:
    ear = Ear().hear("########____", "Hello.", 0.9)
    ear.endpointing.drop()
    assert ear.hear("_" * 60).noted == [(LOOK, 96)]
    assert not ear.endpointing.under_way


@pytest.mark.parametrize("scoring", [True, False])
def test_settings_out_of_order_still_end_a_turn(scoring: bool) -> None:
    ear = Ear(scoring, turn_look_ms=500, turn_min_silence_ms=900, turn_max_silence_ms=300, turn_threshold=0.0)
    assert ear.hear("########" + "_" * 60, "Hello.", 0.0).noted == [(END, 512)]


utterances = st.lists(  # (hops of speech, hops of silence) of a turn, and how the looks are answered
    st.tuples(st.integers(3, 12), st.integers(0, 50), st.sampled_from([None, "", "Hello", "and"]), st.floats(0, 1)),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(utterances, st.booleans(), st.booleans())
def test_every_turn_ends_exactly_once_in_silence_and_no_later_than_the_longest(
    stretches: list[tuple[int, int, str | None, float]], scoring: bool, model_answers: bool
) -> None:
    ear = Ear(scoring)
    for speech, silence, text, score in [*stretches, (3, 60, None, 0.0)]:
        ear.hear("#" * speech, text, score if model_answers else None)
        assert ear.endpointing.under_way
        ear.hear("_" * silence, text, score if model_answers else None)
    ends = [silence for decision, silence in ear.noted if decision in (END, NOTHING)]
    assert len(ends) == ear.begun
    assert all(320 <= silence < DEFAULTS.turn_max_silence_ms + HOP_MS for silence in ends)
    assert not ear.endpointing.under_way

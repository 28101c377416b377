"""What speech over the avatar is worth."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from opentalking.config import Settings
from opentalking.turns.barge_in import Act, BargeIn, Evidence, Reason, Ruling, is_backchannel, is_echo, phrases
from opentalking.turns.words import words

SPOKEN = "The weather in Berlin is sunny today, and tomorrow it will rain"
DEFAULTS = Settings()
WAIT, CUT = Ruling(Act.WAIT), Ruling(Act.CUT)
PAUSED = Evidence(speaking=True, paused_ms=500, speech_ms=600, silence_ms=0, spoken=SPOKEN)
OVER = Evidence(speaking=False, paused_ms=700, speech_ms=300, silence_ms=416, spoken=SPOKEN)


def decide(evidence: Evidence, **settings: object) -> Ruling:
    return BargeIn(msgspec.structs.replace(DEFAULTS, **settings)).decide(evidence)


def resumed(reason: Reason) -> Ruling:
    return Ruling(Act.RESUME, reason)


def test_whoever_speaks_makes_the_avatar_pause_before_any_word_is_known() -> None:
    assert decide(replace(PAUSED, paused_ms=None, speech_ms=96)) == Ruling(Act.PAUSE)


def test_it_does_not_pause_for_silence_or_when_that_is_switched_off() -> None:
    assert decide(replace(PAUSED, paused_ms=None, speaking=False)) == WAIT
    assert decide(replace(PAUSED, paused_ms=None), barge_in=False) == WAIT


def test_speech_without_words_so_far_is_waited_for() -> None:
    assert decide(PAUSED) == WAIT
    assert decide(replace(PAUSED, text="")) == WAIT


@pytest.mark.parametrize("text", ["Stop.", "Wait!", "No.", "okay stop", "yeah but why", "what about Munich?", "停"])
def test_words_that_count_cut_at_once_while_the_person_speaks_and_after(text: str) -> None:
    assert decide(replace(PAUSED, text=f"{text} and so on")) == CUT
    assert decide(replace(OVER, text=text, complete=True)) == CUT


def test_the_last_word_does_not_count_while_speech_goes_on() -> None:
    assert decide(replace(PAUSED, text="the weather in Berl")) == WAIT
    assert decide(replace(PAUSED, text="uh-huh tomo")) == WAIT
    assert decide(replace(PAUSED, text="stop")) == WAIT
    assert decide(replace(PAUSED, text="stop that")) == CUT


@pytest.mark.parametrize("text", ["Huh?", "up", "1.0.1.1.1", "はっ", "か", "Thank you."])
def test_what_recognisers_make_of_a_short_sound_does_not_cut(text: str) -> None:
    assert decide(replace(OVER, text=text, complete=True)) == resumed(Reason.COUGH)
    assert decide(replace(OVER, text=text, complete=True, speech_ms=500)) == CUT


def test_what_may_be_short_is_a_setting() -> None:
    short = replace(OVER, text="Basta!", complete=True)
    assert decide(short) == resumed(Reason.COUGH)
    assert decide(short, barge_in_short_words="basta,genug") == CUT


@pytest.mark.parametrize("text", ["Uh-huh.", "Yeah, yeah, okay.", "Mmmm-hmm", "I see.", "Got it, right."])
def test_a_backchannel_lets_the_avatar_speak_on(text: str) -> None:
    assert decide(replace(OVER, text=text, complete=True)) == resumed(Reason.BACKCHANNEL)


@pytest.mark.parametrize("text", ["M.A.M.", "A", "M-hm.", "啊", "あ", "嗯嗯"])
def test_what_recognisers_write_for_a_hum_lets_the_avatar_speak_on(text: str) -> None:
    assert decide(replace(OVER, text=text, complete=True)) == resumed(Reason.BACKCHANNEL)


@pytest.mark.parametrize("text", ["", " ", "[cough]", "(coughing)", "..."])
def test_a_cough_lets_the_avatar_speak_on(text: str) -> None:
    assert decide(replace(OVER, text=text, complete=True)) == resumed(Reason.COUGH)


@pytest.mark.parametrize("text", ["in Berlin is sunny", "Sunny tod", "is funny today and tomorrow"])
def test_its_own_voice_heard_again_lets_the_avatar_speak_on(text: str) -> None:
    assert decide(replace(OVER, text=text, complete=True)) == resumed(Reason.ECHO)


def test_what_is_said_behind_an_echo_counts() -> None:
    assert decide(replace(PAUSED, text="is sunny no stop that please")) == CUT


@pytest.mark.parametrize("text", ["", "uh-huh", "is sunny"])
def test_nothing_is_resumed_before_the_silence_is_long_enough(text: str) -> None:
    assert decide(replace(OVER, text=text, complete=True, silence_ms=384)) == WAIT
    assert decide(replace(OVER, text=text, complete=True, speaking=True, silence_ms=0)) == WAIT


def test_nothing_is_resumed_for_words_that_are_not_all_of_them() -> None:
    assert decide(replace(OVER, text="uh-huh", complete=False)) == WAIT
    assert decide(replace(OVER, text=None)) == WAIT


@pytest.mark.parametrize("text", [None, ""])
def test_nobody_hushes_the_avatar_for_longer_than_the_wait_without_words(text: str | None) -> None:
    humming = replace(PAUSED, text=text, speech_ms=2600)
    assert decide(replace(humming, paused_ms=2499)) == WAIT
    assert decide(replace(humming, paused_ms=2500)) == resumed(Reason.SILENCE)


def test_after_the_wait_the_reason_is_what_was_heard() -> None:
    assert decide(replace(PAUSED, paused_ms=2500, text="uh-huh uh")) == resumed(Reason.BACKCHANNEL)
    assert decide(replace(PAUSED, paused_ms=2500, text="is sunny today")) == resumed(Reason.ECHO)


def test_words_that_come_with_the_end_of_the_wait_still_cut() -> None:
    assert decide(replace(PAUSED, paused_ms=9000, text="stop it")) == CUT


def test_fewer_words_than_wanted_do_not_cut() -> None:
    evidence = replace(OVER, text="yeah tomorrow stop", complete=True, spoken="", speech_ms=900)
    assert decide(evidence, barge_in_min_words=2) == CUT
    assert decide(evidence, barge_in_min_words=3) == resumed(Reason.SILENCE)


def test_the_recogniser_is_asked_when_speech_is_long_enough_or_over() -> None:
    barge_in = BargeIn(DEFAULTS)
    assert not barge_in.wants_words(replace(PAUSED, speech_ms=480))
    assert barge_in.wants_words(replace(PAUSED, speech_ms=512))
    assert barge_in.wants_words(replace(OVER, speech_ms=128, silence_ms=96))
    assert not barge_in.wants_words(replace(PAUSED, paused_ms=None, speech_ms=9000))


def test_backchannels_and_echoes_need_words() -> None:
    listed = phrases(DEFAULTS.backchannels)
    assert not is_backchannel([], listed)
    assert not is_echo([], words(SPOKEN), 0.0)
    assert not is_echo(words("no"), words(SPOKEN), 0.0)


def test_the_share_of_an_echo_is_the_settings() -> None:
    said = words("berlin is funny today")
    assert is_echo(said, words(SPOKEN), 0.75)
    assert not is_echo(said, words(SPOKEN), 0.76)


def test_chinese_backchannels_and_echoes_are_compared_by_signs() -> None:
    assert is_backchannel(words("嗯嗯，好的"), phrases("嗯,好的"))
    assert is_echo(words("今天天气很好"), words("柏林今天天气很好，明天下雨"), 0.7)
    assert not is_echo(words("停一下"), words("柏林今天天气很好"), 0.7)

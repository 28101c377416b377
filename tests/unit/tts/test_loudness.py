"""Voices come to one loudness by steps that nobody hears, and nothing clips."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opentalking.tts.loudness import MOST_DB, STEP_DB, SpeechMeter, TurnLoudness, VoiceLevels, amplified
from opentalking.types import AudioChunk, Int16

RATE = 16_000
TARGET_DB = -23.0
VOICE = ("piper", "", "")


def speech(db: float, seconds: float = 1.0, seed: int = 1) -> Int16:
    """Noise of this level, dBFS."""
    drawn = np.random.default_rng(seed).uniform(-1, 1, int(seconds * RATE)) * math.sqrt(3)
    return np.asarray(drawn * 32768 * 10 ** (db / 20), np.int16)


def level_db(samples: Int16) -> float:
    return 20 * math.log10(float(np.sqrt(np.mean(np.square(samples / 32768)))))


def said(turn: TurnLoudness, samples: Int16, voice: tuple[str, ...] = VOICE, chunk: int = RATE // 10) -> Int16:
    """A fragment as it is heard."""
    with turn.fragment(*voice) as loudness:
        chunks = [samples[start : start + chunk] for start in range(0, len(samples), chunk)]
        return np.concatenate([loudness.apply(AudioChunk(part, RATE)).data for part in chunks])


@given(
    st.floats(-50, -8), st.lists(st.floats(0, 1), max_size=4), st.lists(st.integers(1, 9000), min_size=1, max_size=6)
)
@settings(deadline=None, max_examples=40)
def test_pauses_and_chunks_do_not_change_what_is_measured(db: float, pauses: list[float], sizes: list[int]) -> None:
    parts = [speech(db, seed=0)]
    for seed, pause in enumerate(pauses, 1):
        parts += [np.zeros(int(pause * RATE), np.int16), speech(db, seed=seed)]
    samples, meter = np.concatenate(parts), SpeechMeter(RATE)
    for part in np.split(samples, np.cumsum(sizes)):
        meter.push(part)
    level = meter.level()
    assert level is not None and level.db == pytest.approx(db, abs=1.0)
    assert level.peak == np.abs(samples).max() / 32768


def test_silence_and_a_short_sound_say_nothing_of_a_voice() -> None:
    meter = SpeechMeter(RATE)
    meter.push(np.zeros(3 * RATE, np.int16))
    meter.push(speech(-20, 0.2))
    assert meter.level() is None


@given(st.lists(st.floats(-45, -8), min_size=2, max_size=12))
@settings(deadline=None, max_examples=40)
def test_from_fragment_to_fragment_the_gain_moves_by_a_small_step_within_its_bounds(levels_db: list[float]) -> None:
    turn = TurnLoudness(VoiceLevels(TARGET_DB))
    gains = []
    for number, db in enumerate(levels_db):
        said(turn, speech(db, seed=number))
        gains.append(turn.gains_db[VOICE])
    assert max(map(abs, gains)) <= MOST_DB
    assert all(abs(later - before) <= STEP_DB + 1e-9 for before, later in pairwise(gains))


@pytest.mark.parametrize("db", [-31.0, -16.0])
def test_a_voice_comes_to_the_target_in_some_fragments_and_begins_there_in_the_next_turn(db: float) -> None:
    levels = VoiceLevels(TARGET_DB)
    turn = TurnLoudness(levels)
    heard = [level_db(said(turn, speech(db, seconds=4, seed=number))) for number in range(8)]
    assert heard[0] == pytest.approx(db, abs=0.2)  # its first chunks were too short to tell
    assert heard[-1] == pytest.approx(TARGET_DB, abs=1)
    assert level_db(said(TurnLoudness(levels), speech(db))) == pytest.approx(TARGET_DB, abs=1)


def test_no_voice_is_changed_by_more_than_the_bound() -> None:
    levels = VoiceLevels(TARGET_DB)
    said(TurnLoudness(levels), speech(-45))
    assert level_db(said(TurnLoudness(levels), speech(-45))) == pytest.approx(-45 + MOST_DB, abs=0.3)


@given(st.floats(-40, -10), st.lists(st.integers(1, 9000), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_within_a_fragment_the_gain_is_one_whatever_is_said_and_however_it_is_cut(db: float, sizes: list[int]) -> None:
    levels = VoiceLevels(TARGET_DB)
    said(TurnLoudness(levels), speech(db))
    samples = np.concatenate([speech(db), speech(db - 15), speech(db)])
    gain = 10 ** ((levels.wanted_db(VOICE) or 0.0) / 20)
    with TurnLoudness(levels).fragment(*VOICE) as loudness:
        parts = [loudness.apply(AudioChunk(part, RATE)).data for part in np.split(samples, np.cumsum(sizes))]
    assert np.array_equal(np.concatenate(parts), amplified(samples, gain))


def test_a_voice_that_was_never_heard_is_judged_by_its_first_chunk_if_that_says_enough() -> None:
    loud = speech(TARGET_DB + 8)
    assert level_db(said(TurnLoudness(VoiceLevels(TARGET_DB)), loud, chunk=RATE // 2)) == pytest.approx(
        TARGET_DB + 5, abs=0.3
    )
    assert np.array_equal(said(TurnLoudness(VoiceLevels(TARGET_DB)), loud, chunk=RATE // 20), loud)
    near = speech(TARGET_DB + 2)
    assert np.array_equal(said(TurnLoudness(VoiceLevels(TARGET_DB)), near, chunk=RATE // 2), near)


def test_a_voice_that_takes_over_is_as_loud_as_the_one_before_it() -> None:
    levels, other = VoiceLevels(TARGET_DB), ("espeak", "", "")
    for voice, db in ((VOICE, -28.0), (other, -17.0)):
        said(TurnLoudness(levels), speech(db, seconds=30), voice)
    turn = TurnLoudness(levels)
    first, second = said(turn, speech(-28)), said(turn, speech(-17), other)
    assert level_db(second) == pytest.approx(level_db(first), abs=1.8)  # of eleven


def test_a_sentence_that_is_louder_than_its_voice_moves_nothing() -> None:
    turn = TurnLoudness(VoiceLevels(TARGET_DB))
    sentences = [
        speech(TARGET_DB + louder, seconds=2.5, seed=number) for number, louder in enumerate((2.5, -1, -2, 0.5))
    ]
    for sentence in sentences:
        assert np.array_equal(said(turn, sentence, chunk=RATE // 2), sentence)


def test_a_fragment_that_was_cut_counts_too() -> None:
    levels = VoiceLevels(TARGET_DB)
    with pytest.raises(RuntimeError), TurnLoudness(levels).fragment(*VOICE) as loudness:
        loudness.apply(AudioChunk(speech(-29), RATE))
        raise RuntimeError
    assert levels.wanted_db(VOICE) == pytest.approx(6 - 4.5, abs=0.3)


def test_a_voice_with_high_peaks_is_raised_only_as_far_as_they_have_room() -> None:
    levels = VoiceLevels(TARGET_DB)
    peaky = speech(-35)
    peaky[RATE // 2] = 23_197  # -3 dBFS
    said(TurnLoudness(levels), peaky)
    assert levels.wanted_db(VOICE) == pytest.approx(2, abs=0.1)


def test_a_peak_that_came_once_holds_a_voice_down_for_half_a_minute_and_not_for_ever() -> None:
    levels, turn_db = VoiceLevels(TARGET_DB), []
    for number in range(90):
        samples = speech(-36, seed=number)
        if number == 10:
            samples[RATE // 2] = 32_767
        said(TurnLoudness(levels), samples)
        turn_db.append(levels.wanted_db(VOICE) or 0.0)
    assert turn_db[9] > 7 and turn_db[10] == 0  # no room is left beside such a peak
    assert turn_db[40] < turn_db[9] - 1 and turn_db[-1] == MOST_DB
    assert all(later >= before - 0.1 for before, later in pairwise(turn_db[10:]))


def test_what_is_known_of_a_voice_follows_it_in_half_a_minute() -> None:
    levels = VoiceLevels(TARGET_DB)
    for db, minutes in ((-20, 2), (-26, 1)):
        for number in range(minutes * 2):
            said(TurnLoudness(levels), speech(db, seconds=30, seed=number), chunk=RATE)
    assert levels.wanted_db(VOICE) == pytest.approx(3 - 0.8, abs=0.3)


@given(st.floats(-MOST_DB, MOST_DB))
@example(-0.015625)
def test_no_gain_clips_or_wraps_and_what_was_louder_stays_louder(gain_db: float) -> None:
    every = np.arange(-32768, 32768, dtype=np.int16)
    made = amplified(every, 10 ** (gain_db / 20)).astype(int)
    steps = np.diff(made)
    rounded = 2**-7  # of float32 near full scale, both neighbours
    assert steps.min() >= 0 and steps.max() <= math.floor(10 ** (gain_db / 20) + rounded) + 1
    assert np.array_equal(np.sign(made[[0, -1]]), [-1, 1])


def test_a_target_of_zero_leaves_all_voices_as_they_are() -> None:
    levels = VoiceLevels(0.0)
    chunk = AudioChunk(speech(-40), RATE)
    with TurnLoudness(levels).fragment(*VOICE) as loudness:
        assert loudness.apply(chunk) is chunk
    assert levels.wanted_db(VOICE) is None

"""PCM shaping: what goes in comes out, aligned, faded and marked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentalking.config import Settings
from opentalking.slots import SlotFlags
from opentalking.tts.shaping import Shaped, ShapingError, TurnShaper
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, PLAYBACK_RATE, PLAYBACK_SAMPLES, AudioChunk, Int16

RATES = [8000, 16_000, 22_050, 24_000, 44_100, 48_000]
UNFADED = Settings(flashtalk_tts_boundary_fade_ms=0, flashtalk_tts_tail_fade_ms=0)


def noise(samples: int, seed: int = 1) -> Int16:
    return (np.random.default_rng(seed).standard_normal(samples) * 4000).clip(-32767, 32767).astype(np.int16)


def soft(samples: int) -> Int16:
    """Noise that comes up slowly."""
    return np.asarray(noise(samples) * np.minimum(np.arange(samples) / 2000, 1) ** 2, np.int16)


def tone(samples: int, rate: int, hz: float = 200.0) -> Int16:
    return (20_000 * np.sin(2 * np.pi * hz * np.arange(samples) / rate)).astype(np.int16)


def chirp(samples: int, rate: int) -> Int16:
    seconds = np.arange(samples) / rate
    return (15_000 * np.sin(2 * np.pi * (100 * seconds + 800 * seconds**2))).astype(np.int16)


def shape_turn(fragments: list[list[Int16]], rate: int, using: Settings | None = None) -> list[Shaped]:
    """A turn of fragments, each a list of chunks; the last one is left open for end_turn."""
    shaper = TurnShaper(using or Settings())
    slots: list[Shaped] = []
    for index, chunks in enumerate(fragments):
        shaper.start_fragment(index)
        for samples in chunks:
            slots += shaper.push(AudioChunk(samples, rate))
        if index < len(fragments) - 1:
            slots += shaper.end_fragment()
    return slots + shaper.end_turn()


def own_pcm(slots: list[Shaped], fragment: int) -> tuple[Int16, Int16]:
    """(model, playback) PCM of one fragment without its padding."""
    of_fragment = [slot for slot in slots if slot.info.fragment == fragment and slot.info.samples]
    samples = sum(slot.info.samples for slot in of_fragment)
    model = np.concatenate([slot.model_pcm for slot in of_fragment])
    playback = np.concatenate([slot.playback_pcm for slot in of_fragment])
    return model[: -(-samples // 3)], playback[:samples]


def cut(samples: Int16, positions: list[int]) -> list[Int16]:
    return list(np.split(samples, sorted(position % (len(samples) + 1) for position in positions)))


@given(st.sampled_from(RATES), st.integers(1, 30_000))
@settings(deadline=None, max_examples=60)
def test_no_sample_is_lost_or_added(rate: int, samples: int) -> None:
    slots = shape_turn([[noise(samples)]], rate)
    model, playback = own_pcm(slots, 0)
    assert len(playback) == -(-samples * PLAYBACK_RATE // rate)
    assert len(model) == -(-samples * MODEL_RATE // rate)


def test_playback_of_a_48_khz_voice_is_the_voice_itself() -> None:
    voice = noise(10_000)
    _, playback = own_pcm(shape_turn([[voice]], PLAYBACK_RATE, UNFADED), 0)
    assert np.array_equal(playback, voice)


@given(
    st.sampled_from(RATES),
    st.integers(1, 12_000),
    st.lists(st.integers(0, 20_000), max_size=12),
    st.sampled_from([Settings(), UNFADED, Settings(flashtalk_tts_boundary_fade_ms=90)]),
    st.sampled_from([noise, soft]),
)
@settings(deadline=None, max_examples=60)
def test_any_chunking_gives_the_same_slots(
    rate: int, samples: int, positions: list[int], using: Settings, make: Callable[[int], Int16]
) -> None:
    voice = make(samples)
    whole = shape_turn([[voice], [voice]], rate, using)
    cut_up = shape_turn([cut(voice, positions), cut(voice, positions[::2])], rate, using)
    assert [slot.info for slot in cut_up] == [slot.info for slot in whole]
    for one, other in zip(cut_up, whole, strict=True):
        assert np.array_equal(one.model_pcm, other.model_pcm)
        assert np.array_equal(one.playback_pcm, other.playback_pcm)


@pytest.mark.parametrize("rate", RATES)
def test_both_rates_are_aligned_with_the_source(rate: int) -> None:
    voice = chirp(rate, rate)
    model, playback = own_pcm(shape_turn([[voice]], rate, UNFADED), 0)
    on_model_clock = np.interp(np.arange(len(model)) * 3, np.arange(len(playback)), playback)
    lags = range(-16, 17)  # samples at 16 kHz: one millisecond either way
    assert max(lags, key=lambda lag: float(np.dot(np.roll(on_model_clock, lag), model.astype(float)))) == 0
    click = np.zeros(rate, np.int16)
    click[rate // 3] = 20_000
    for pcm, out_rate in zip(
        own_pcm(shape_turn([[click]], rate, UNFADED), 0), (MODEL_RATE, PLAYBACK_RATE), strict=True
    ):
        assert abs(int(np.argmax(np.abs(pcm.astype(int)))) / out_rate - (rate // 3) / rate) < 0.000_1


@given(st.sampled_from(RATES), st.floats(0.05, 0.6))
@settings(deadline=None, max_examples=40)
def test_fragments_begin_and_end_in_silence_without_a_step(rate: int, seconds: float) -> None:
    voice = tone(int(rate * seconds), rate) + 4000  # starts and ends far from zero
    step_of_voice = 20_000 * 2 * np.pi * 200 / PLAYBACK_RATE + 24_000 / (0.018 * PLAYBACK_RATE)
    slots = shape_turn([[voice], [voice]], rate)
    playback = np.concatenate([slot.playback_pcm for slot in slots]).astype(int)
    assert np.abs(np.diff(playback, prepend=0, append=0)).max() < 1.2 * step_of_voice
    for fragment in (0, 1):
        _, own = own_pcm(slots, fragment)
        assert abs(int(own[0])) < 0.02 * 24_000 and abs(int(own[-1])) < 0.02 * 24_000


def test_a_boundary_fades_briefly_and_the_turn_ends_with_the_tail_fade() -> None:
    loud = np.full(PLAYBACK_RATE, 10_000, np.int16)
    slots = shape_turn([[loud], [loud]], PLAYBACK_RATE)
    boundary, tail = PLAYBACK_RATE * 18 // 1000, PLAYBACK_RATE * 80 // 1000
    for fragment, fade in ((0, boundary), (1, tail)):
        _, own = own_pcm(slots, fragment)
        assert np.flatnonzero(own == 10_000)[0] == boundary
        assert np.flatnonzero(own == 10_000)[-1] == PLAYBACK_RATE - fade - 1


def soft_onset(samples: int, rate: int, seed: int = 1) -> Int16:
    """A fricative that grows out of nearly nothing: noise below -30 dBFS for 5 ms, at its level after 15."""
    level = np.interp(np.arange(samples) * 1000 / rate, [0, 5, 15], [200, 250, 2000])
    drawn = np.random.default_rng(seed).uniform(-1, 1, samples)
    return np.asarray(level * drawn, np.int16)


@pytest.mark.parametrize("rate", RATES)
def test_a_soft_consonant_at_the_onset_is_not_faded_away(rate: int) -> None:
    voice = soft_onset(rate // 2, rate)
    faded, whole = (own_pcm(shape_turn([[voice]], rate, using), 0)[1] for using in (Settings(), UNFADED))
    ms = PLAYBACK_RATE // 1000
    assert np.array_equal(faded[5 * ms : 300 * ms], whole[5 * ms : 300 * ms])
    assert abs(int(faded[0])) <= 5 and np.abs(faded[: 2 * ms]).max() < np.abs(whole[: 2 * ms]).max()


def test_the_setting_bounds_the_fade_of_a_soft_onset() -> None:
    voice = soft_onset(24_000, 48_000)
    _, own = own_pcm(shape_turn([[voice]], 48_000, Settings(flashtalk_tts_boundary_fade_ms=2)), 0)
    assert np.array_equal(own[96:10_000], voice[96:10_000])


Fragment = tuple[str, float, int]
a_fragment = st.tuples(st.sampled_from(["vowel", "soft", "offset"]), st.floats(0.0005, 0.25), st.integers(0, 1000))


def voiced(kind: str, seconds: float, seed: int, rate: int) -> Int16:
    """Smooth sounds that begin and end anywhere in their swing; a soft one comes up in the first 15 ms."""
    drawn, samples = np.random.default_rng(seed), max(1, int(seconds * rate))
    at = np.arange(samples) / rate
    waves = [np.sin(2 * np.pi * hz * at + phase) for hz, phase in drawn.uniform((80, 0), (900, 7), (4, 2))]
    sound = 5000 * np.sum(waves, axis=0) + (8000 if kind == "offset" else 0)
    return np.asarray(sound * (np.minimum(at / 0.015, 1) ** 3 if kind == "soft" else 1), np.int16)


@given(
    st.sampled_from(RATES),
    st.lists(a_fragment, min_size=1, max_size=4),
    st.lists(st.integers(0, 20_000), max_size=8),
    st.sampled_from([Settings(), *(Settings(flashtalk_tts_boundary_fade_ms=fade) for fade in (4, 90))]),
)
@settings(deadline=None, max_examples=60)
def test_no_turn_has_a_step_that_its_voice_has_not(
    rate: int, fragments: list[Fragment], positions: list[int], using: Settings
) -> None:
    voices = [voiced(*fragment, rate) for fragment in fragments]
    slots = shape_turn([cut(voice, positions) for voice in voices], rate, using)
    playback = np.concatenate([slot.playback_pcm for slot in slots]).astype(int)
    peak = max(int(np.abs(voice.astype(int)).max()) for voice in voices)
    steepest = 4 * 5000 * 2 * np.pi * 900 / PLAYBACK_RATE + 28_000 * 3 / (0.015 * PLAYBACK_RATE)  # of `voiced`
    ramp = peak / (0.004 * PLAYBACK_RATE)
    assert np.abs(np.diff(playback, prepend=0, append=0)).max() < 1.25 * (steepest + ramp)


def test_flags_mark_turn_and_fragments_once_each() -> None:
    slots = shape_turn([[noise(5000)], [noise(5000)], [noise(200)]], 16_000)
    flags = [slot.info.flags for slot in slots]
    assert [index for index, flag in enumerate(flags) if flag & SlotFlags.TURN_START] == [0]
    assert [index for index, flag in enumerate(flags) if flag & SlotFlags.TURN_END] == [len(flags) - 1]
    starts = [slot.info.fragment for slot in slots if slot.info.flags & SlotFlags.FRAGMENT_START]
    ends = [slot.info.fragment for slot in slots if slot.info.flags & SlotFlags.FRAGMENT_END]
    assert starts == ends == [0, 1, 2]
    assert flags[-6] == SlotFlags.FRAGMENT_START | SlotFlags.FRAGMENT_END  # 200 samples fit one slot


def test_a_fragment_fills_whole_slots_and_its_padding_is_zero() -> None:
    slots = shape_turn([[tone(5000, 16_000)], [noise(5000)]], 16_000)
    last = next(slot for slot in slots if slot.info.flags & SlotFlags.FRAGMENT_END)
    assert last.info.samples == 5000 * 3 % PLAYBACK_SAMPLES
    assert not last.playback_pcm[last.info.samples :].any()
    positions = [slot.info.sample for slot in slots if slot.info.fragment == 0]
    assert positions == list(range(0, 5000 * 3, PLAYBACK_SAMPLES))
    assert {slot.playback_pcm.shape for slot in slots} == {(PLAYBACK_SAMPLES,)}
    assert {slot.model_pcm.shape for slot in slots} == {(MODEL_SAMPLES,)}


def test_the_turn_ends_with_silence_that_belongs_to_no_fragment() -> None:
    slots = shape_turn([[noise(5000)]], 16_000, Settings(flashtalk_tts_trailing_silence_ms=100))
    silence = [slot for slot in slots if slot.info.samples == 0]
    assert len(silence) == 3  # 100 ms, rounded up
    assert all(not slot.playback_pcm.any() and not slot.model_pcm.any() for slot in silence)
    assert [slot.info.flags for slot in silence] == [SlotFlags.NONE, SlotFlags.NONE, SlotFlags.TURN_END]


def test_the_end_of_a_turn_is_marked_even_without_silence_or_sound() -> None:
    no_silence = Settings(flashtalk_tts_trailing_silence_ms=0)
    assert shape_turn([[noise(5000)]], 16_000, no_silence)[-1].info.flags == SlotFlags.TURN_END
    (only,) = shape_turn([[]], 16_000, no_silence)
    assert only.info.flags == SlotFlags.TURN_START | SlotFlags.TURN_END


def test_the_first_slot_is_out_when_a_frame_and_the_fade_are_in() -> None:
    shaper = TurnShaper(Settings())
    shaper.start_fragment(0)
    enough = PLAYBACK_RATE * (40 + 18) // 1000
    assert shaper.push(AudioChunk(noise(enough - 1), PLAYBACK_RATE)) == []
    # the resampler to 16 kHz looks ahead a millisecond
    assert len(shaper.push(AudioChunk(noise(PLAYBACK_RATE * 2 // 1000 + 1), PLAYBACK_RATE))) == 1


def test_silence_stays_silent_and_full_scale_does_not_wrap() -> None:
    silent = shape_turn([[np.zeros(5000, np.int16)]], 22_050)
    assert not any(slot.playback_pcm.any() for slot in silent)
    _, loud = own_pcm(shape_turn([[np.full(22_050, 32_767, np.int16)]], 22_050), 0)
    assert loud.min() > -4000  # ringing of the filter, no wrap to the other end


def test_calls_out_of_order_are_refused() -> None:
    shaper = TurnShaper(Settings())
    with pytest.raises(ShapingError, match="push without start_fragment"):
        shaper.push(AudioChunk(noise(10), 16_000))
    with pytest.raises(ShapingError, match="end_fragment without start_fragment"):
        shaper.end_fragment()
    shaper.start_fragment(0)
    with pytest.raises(ShapingError, match="the fragment before is still open"):
        shaper.start_fragment(1)
    shaper.push(AudioChunk(noise(10), 16_000))
    with pytest.raises(ShapingError, match="the rate changed from 16000 to 24000 Hz"):
        shaper.push(AudioChunk(noise(10), 24_000))
    shaper.end_turn()
    with pytest.raises(ShapingError, match="the turn has ended"):
        shaper.end_turn()

"""Of attempts and engines that break off, one sound is heard: nothing twice, nothing lost, no click."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from opentalking.tts.said import Said
from opentalking.types import AudioChunk, Int16

RATES = [8000, 16_000, 22_050, 24_000, 44_100, 48_000]
FADE_MS = 8
AMPLITUDE = 10_000


def sound(samples: int, rate: int, phase: float = 0.0) -> Int16:
    """A tone of 150 Hz, which a fade or a filter changes little."""
    return np.asarray(AMPLITUDE * np.sin(2 * np.pi * 150 / rate * np.arange(samples) + phase), np.int16)


def cut(samples: Int16, sizes: list[int]) -> list[Int16]:
    """Chunks of these sizes, the last of whatever is left."""
    return [part for part in np.split(samples, np.cumsum(sizes)) if len(part)]


def taken(said: Said, chunks: list[Int16], rate: int, to_its_end: bool = True) -> Int16:
    heard = [said.take(AudioChunk(chunk, rate)) for chunk in chunks]
    heard += [said.rest()] if to_its_end else []
    return np.concatenate([np.zeros(0, np.int16), *(chunk.data for chunk in heard if chunk is not None)])


sizes = st.lists(st.integers(1, 3000), min_size=1, max_size=8)


@given(
    st.sampled_from(RATES), st.sampled_from(RATES), st.integers(1, 4000), st.integers(1, 4000), sizes, st.floats(0, 7)
)
@settings(deadline=None, max_examples=60)
def test_where_another_engine_goes_on_nothing_is_lost_and_nothing_clicks(
    first_rate: int, second_rate: int, before: int, after: int, sizes: list[int], phase: float
) -> None:
    said = Said("some words")
    said.begin(skipping=False)
    heard = [taken(said, cut(sound(before, first_rate, phase), sizes), first_rate, to_its_end=False)]
    said.turn_to_the_rest(1.0)
    said.begin(skipping=False)
    heard.append(taken(said, cut(sound(after, second_rate, phase + 1), sizes), second_rate))
    pcm, fade = np.concatenate(heard), FADE_MS * first_rate // 1000
    assert len(pcm) == before + fade - (-after * first_rate // second_rate)
    steepest = AMPLITUDE * (2 * np.pi * 150 / first_rate + 2 / fade)
    assert np.abs(np.diff(pcm.astype(int))[: -first_rate // 1000 or None]).max(initial=0) < 1.3 * steepest + 2


@given(st.sampled_from(RATES), st.integers(1, 8000), sizes, sizes)
@settings(deadline=None, max_examples=40)
def test_a_second_attempt_is_heard_from_where_the_first_one_broke_off(
    rate: int, broke_off: int, sizes: list[int], others: list[int]
) -> None:
    whole, said = sound(9000, rate), Said("some words")
    said.begin(skipping=False)
    first = taken(said, cut(whole[:broke_off], sizes), rate, to_its_end=False)
    said.begin(skipping=True)
    second = taken(said, cut(whole, others), rate)
    fade = FADE_MS * rate // 1000
    assert np.array_equal(first, whole[:broke_off])
    assert len(second) == fade + 9000 - broke_off
    assert np.array_equal(second[2 * fade :], whole[broke_off + fade :])
    assert second[fade - 1] == second[fade] == 0


def test_an_engine_that_works_is_heard_as_it_is() -> None:
    said = Said("some words")
    said.begin(skipping=False)
    assert np.array_equal(taken(said, cut(sound(5000, 24_000), [1, 100]), 24_000), sound(5000, 24_000))
    assert said.seconds == 5000 / 24_000

"""From chunks to mouths: how many, when, and what they look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opentalking.models.portrait.net import VisemeNet
from opentalking.models.portrait.track import LOOKAHEAD_CHUNKS, MouthTrack
from opentalking.models.portrait.visemes import JAW_OPEN, PARAMETERS, mouth_of
from opentalking.types import MODEL_SAMPLES, Float32
from tests.unit.models.portrait.speech import speak

NET = VisemeNet.load()
SENTENCE = "Bob and my mother bought a bag of plums. How are you today?"


def chunks_of(text: str) -> list[Float32]:
    return [chunk.data / np.float32(32768) for chunk in speak(text).chunks()]


def mouths_of(chunks: list[Float32]) -> Float32:
    track = MouthTrack(NET)
    mouths = [mouth for chunk in chunks for mouth in track.push(chunk)]
    return np.array([*mouths, *track.finish()]).reshape(-1, len(PARAMETERS))


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 40), loudness=st.sampled_from([0.0, 0.01, 0.3]), seed=st.integers(0, 9))
def test_every_chunk_gets_one_mouth_after_the_look_ahead_and_the_rest_at_the_end(
    count: int, loudness: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    track = MouthTrack(NET)
    given_out = 0
    for fed in range(1, count + 1):
        given_out += len(track.push((loudness * rng.standard_normal(MODEL_SAMPLES)).astype(np.float32)))
        assert given_out == max(0, fed - LOOKAHEAD_CHUNKS)
    assert given_out + len(track.finish()) == count


def test_a_mouth_does_not_depend_on_how_the_turn_goes_on_after_the_look_ahead() -> None:
    chunks = chunks_of(SENTENCE)
    whole = mouths_of(chunks)
    cut = len(chunks) // 2
    track = MouthTrack(NET)
    live = [mouth for chunk in chunks[:cut] for mouth in track.push(chunk)]
    np.testing.assert_allclose(live, whole[: cut - LOOKAHEAD_CHUNKS], atol=1e-4)


def test_a_vowel_opens_the_mouth_and_silence_closes_it_within_three_frames() -> None:
    spoken = chunks_of("ah!")
    silence = [np.zeros(MODEL_SAMPLES, np.float32)] * 6
    voiced = [i for i, chunk in enumerate(spoken) if np.abs(chunk).max() > 0.02]
    mouths = mouths_of(spoken[: voiced[-1] + 1] + silence)
    assert mouths[:, JAW_OPEN].max() > 0.3
    assert not mouths[voiced[-1] + 3 :].any()


def test_silence_is_a_mouth_at_rest() -> None:
    assert not mouths_of([np.zeros(MODEL_SAMPLES, np.float32)] * 20).any()


def test_a_turn_that_breaks_off_in_mid_vowel_still_ends_near_closed() -> None:
    spoken = chunks_of("aaah aaah aaah")
    loudest = max(range(5, len(spoken)), key=lambda i: float(np.abs(spoken[i]).mean()))
    mouths = mouths_of(spoken[: loudest + 1])
    open_jaw = mouths[:, JAW_OPEN].max()
    assert open_jaw > 0.2
    assert mouths[-1, JAW_OPEN] <= 0.25 * 0.56
    assert np.abs(np.diff(mouths[:, JAW_OPEN])).max() < open_jaw


def test_the_jaw_takes_more_than_a_frame_to_open_wide() -> None:
    assert np.diff(mouths_of(chunks_of(SENTENCE))[:, JAW_OPEN]).max() <= 0.3 + 1e-6


def test_lips_meet_for_p_b_and_m() -> None:
    spoken = speak(SENTENCE)
    mouths = mouths_of(chunks_of(SENTENCE))
    opening = mouths @ openness()
    ends = [start for start, _ in spoken.phonemes[1:]]
    centres = [
        (start + end) / 80 for (start, name), end in zip(spoken.phonemes, ends, strict=False) if name in list("pbm")
    ]
    assert len(centres) >= 7
    closed = [
        opening[max(0, int(c - 1.5)) : int(c + 1.5) + 1].min() < 0.25 * np.percentile(opening, 75) for c in centres
    ]
    assert np.mean(closed) >= 0.8


def openness() -> Float32:
    """Weights of the parameters that part the lips."""
    parting = {"jawOpen": 1.0, "mouthLowerDown": 0.3, "mouthUpperUp": 0.3, "mouthFunnel": 0.3}
    return np.array([parting.get(name, 0.0) for name in PARAMETERS], np.float32)


def test_a_chunk_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a chunk has 640 samples"):
        MouthTrack(NET).push(np.zeros(320, np.float32))


def test_a_mouth_of_a_viseme_is_known_by_name() -> None:
    assert mouth_of("aa")[JAW_OPEN] > mouth_of("I")[JAW_OPEN] > mouth_of("PP")[JAW_OPEN] == 0

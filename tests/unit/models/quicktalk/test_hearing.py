"""The encoder as it hears a turn piece by piece, against the encoder that hears all of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from opentalking.models.adapter import ModelError
from opentalking.models.quicktalk.hearing import FIELD, HOP, LEFT_MS, RIGHT_FRAMES, Hearing, HubertEncoder
from opentalking.types import MODEL_RATE, Float32
from tests.support.quicktalk_files import write_encoder
from tests.unit.models.portrait.speech import speak

STEP = 12  # vectors
SENTENCE = "My father bought a big boat. Wow! It bobs up and down by the pier, all day and all night."


def sound() -> Float32:
    return speak(SENTENCE).pcm.astype(np.float32) / np.float32(32768)


def in_steps(encoder: HubertEncoder, samples: Float32) -> Float32:
    hearing, taken = Hearing(encoder), []
    hearing.push(samples)
    for _ in range((len(samples) - FIELD) // HOP // STEP - 1):
        taken.append(hearing.take(STEP))
    return np.concatenate(taken)


def encoder_of(folder: Path, layers: int) -> HubertEncoder:
    write_encoder(folder, layers)
    encoder = HubertEncoder(folder, "cpu", 1)
    encoder.normalises = False  # as for one known level, so that both are given the same
    return encoder


def test_what_lies_within_the_window_is_heard_as_in_the_whole(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path, layers=0)  # convolutions, and positions that see two vectors to either side
    samples = sound()
    heard, whole = in_steps(encoder, samples), encoder(samples)
    assert len(heard) > 2 * LEFT_MS // 20
    np.testing.assert_allclose(heard, whole[: len(heard)], atol=2e-5)


def test_where_two_steps_meet_features_do_not_jump(tmp_path: Path) -> None:
    """Weights of chance attend to everything alike, which is the hardest case. Without context joins are seen."""
    encoder = encoder_of(tmp_path, layers=1)
    samples = sound()
    heard, whole = in_steps(encoder, samples), encoder(samples)
    alone = [encoder(samples[at * HOP :][: (STEP - 1) * HOP + FIELD]) for at in range(0, len(heard), STEP)]

    def excess_at_joins(features: Float32) -> float:
        """Steps across the joins over the same steps of the whole."""
        joins = [(a, b) for a, b in pairwise(range(len(features))) if b % STEP == 0]
        taken, wanted = (sum(np.linalg.norm(f[b] - f[a]) for a, b in joins) for f in (features, whole))
        return float(taken / wanted)

    assert excess_at_joins(heard) < 1.1
    assert excess_at_joins(np.concatenate(alone)) > 1.3


def test_loudness_hardly_matters_and_silence_is_not_blown_up_to_speech() -> None:
    given: list[Float32] = []

    class Listening:
        normalises = True

        def __call__(self, samples: Float32) -> Float32:
            given.append(samples)
            return np.zeros(((len(samples) - FIELD) // HOP + 1, 1024), np.float32)

    samples = sound()[: 2 * MODEL_RATE]
    for loudness in (0.3, 1.0, 3.0):
        hearing = Hearing(Listening())
        hearing.push(samples * np.float32(loudness))
        hearing.take(50)
    quiet, usual, loud = (float(np.std(part)) for part in given)
    assert quiet / usual > 0.6 and loud / usual < 1.6
    hearing = Hearing(Listening())
    hearing.push(np.random.default_rng(1).normal(0, 1e-4, MODEL_RATE).astype(np.float32))
    hearing.take(20)
    assert np.std(given[-1]) < 0.05


def test_sound_that_has_not_come_is_not_guessed() -> None:
    class Deaf:
        normalises = False

        def __call__(self, samples: Float32) -> Float32:
            raise AssertionError

    hearing = Hearing(Deaf())
    needed = (STEP + RIGHT_FRAMES - 1) * HOP + FIELD
    hearing.push(np.zeros(needed - 7, np.float32))
    with pytest.raises(ValueError, match="12 vectors need 7 more samples"):
        hearing.take(STEP)


def test_an_encoder_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_encoder(tmp_path, layers=0, features=768)
    with pytest.raises(ModelError, match="is not chinese-hubert-large: quicktalk takes 1024 features"):
        HubertEncoder(tmp_path, "cpu", 1)

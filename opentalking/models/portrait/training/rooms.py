"""Changes to the sound itself: another speaker's pitch and formants, and the echo of a room."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from opentalking.models.portrait.training.labelled import Labelled
from opentalking.types import MODEL_RATE


def played_faster(speech: Labelled, factor: float) -> Labelled:
    """Played `factor` times as fast: pitch and formants rise with it, and the time shrinks."""
    ratio = Fraction(factor).limit_denominator(40)
    samples = resample_poly(speech.samples, ratio.denominator, ratio.numerator).astype(np.float32)
    frames = np.arange(len(speech.visemes) * ratio.denominator // ratio.numerator) * float(ratio)
    return Labelled(samples, speech.visemes[frames.astype(int)], speech.voice)


def in_a_room(speech: Labelled, rng: random.Random) -> Labelled:
    """With a decaying echo of 50 to 300 ms, quieter than the direct sound."""
    length = int(MODEL_RATE * rng.uniform(0.05, 0.3))
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(length)
    echo = noise * np.exp(-np.arange(length) / (length / 5)) * rng.uniform(0.02, 0.12)
    echo[0] = 1.0
    samples = fftconvolve(speech.samples, echo)[: len(speech.samples)].astype(np.float32)
    return Labelled(samples, speech.visemes, speech.voice)

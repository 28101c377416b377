"""Whisper's ears, against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from opentalking.stt.mel import BANDS, log_mel
from opentalking.types import MODEL_RATE


def centre_hz(band: int) -> float:
    """Of Slaney's scale: 15 mels of 66.67 Hz, then 27 to a factor of 6.4."""
    highest = 15 + 27 * np.log(8) / np.log(6.4)
    mel = highest * (band + 1) / (BANDS + 1)
    return float(mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27))


@pytest.mark.parametrize("band", [4, 10, 30, 50, 79])
def test_a_tone_is_loudest_in_its_own_band(band: int) -> None:
    tone = np.sin(2 * np.pi * centre_hz(band) * np.arange(MODEL_RATE) / MODEL_RATE).astype(np.float32)
    mel = log_mel(tone)
    assert mel.shape == (80, 100) and mel.dtype == np.float32
    assert set(mel[:, 5:95].argmax(axis=0)) == {band}


def test_the_range_is_eight_decades_at_most_below_the_loudest() -> None:
    speech = np.random.default_rng(0).normal(0, 0.1, MODEL_RATE).astype(np.float32)
    speech[: MODEL_RATE // 2] = 0
    mel = log_mel(speech)
    assert mel.max() - mel.min() == pytest.approx(2.0, abs=1e-5)
    assert np.allclose(mel[:, :40], mel.min())


def test_louder_by_ten_is_half_a_step_up() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, MODEL_RATE).astype(np.float32)
    assert np.allclose(log_mel(10 * noise) - log_mel(noise), 0.5, atol=1e-4)  # 20 dB of power, of 40 a unit

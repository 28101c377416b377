"""The mel is librosa's, whatever the pieces, and each frame hears the right columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter, stft

from opentalking.models.wav2lip import mel
from opentalking.models.wav2lip.mel import FRAME_COLUMNS, LOOKAHEAD_MS, FrameWindows, MelStream
from opentalking.types import FRAME_MS, MODEL_RATE, MODEL_SAMPLES, Float32

# tests/data/wav2lip/README.md says how it was made
GOLDEN = Path(__file__).parents[3] / "data" / "wav2lip" / "mel.npz"
FADING = np.random.default_rng(3).standard_normal(12_345).astype(np.float32) * np.linspace(0.3, 0, 12_345, dtype="f4")


def whole(samples: Float32, silence: int = 0) -> Float32:
    """The same spectrogram at one go, by SciPy, with `silence` samples following; (80, columns)."""
    emphasised = lfilter([1, -0.97], [1], samples.astype(np.float64))
    padded = np.pad(emphasised, (400, 400 + silence))
    _, _, spectrum = stft(padded, nperseg=800, noverlap=600, boundary=None, padded=False, detrend=False)
    magnitude = np.abs(spectrum) * np.hanning(801)[:-1].sum()
    decibel = 20 * np.log10(np.maximum(1e-5, mel._filters().T @ magnitude)) - 20
    return np.clip(8 * (decibel + 100) / 100 - 4, -4, 4).astype(np.float32)


def in_pieces(samples: Float32, sizes: list[int]) -> Float32:
    """By the stream, in pieces of these sizes over and over; (80, columns)."""
    stream, columns, position = MelStream(), [], 0
    while position < len(samples):
        size = sizes[len(columns) % len(sizes)]
        columns.append(stream.push(samples[position : position + size]))
        position += size
    stream.end()
    columns.append(stream.push(np.zeros(400, np.float32)))
    return np.concatenate(columns).T


def test_it_is_what_librosa_makes_of_the_whole_signal() -> None:
    with np.load(GOLDEN) as golden:
        samples, expected = golden["samples"], golden["mel"]
    found = in_pieces(samples, [MODEL_SAMPLES])
    assert found.shape[1] >= expected.shape[1]
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, atol=1e-4)


@pytest.mark.parametrize("sizes", [[640], [1], [199, 1, 2000], [12_345]], ids=["chunks", "samples", "odd", "at once"])
def test_pieces_of_any_size_give_what_the_whole_does(sizes: list[int]) -> None:
    expected = whole(FADING)
    found = in_pieces(FADING, sizes)
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, atol=1e-4)


def test_silence_is_the_floor_and_a_full_tone_below_the_ceiling() -> None:
    assert (MelStream().push(np.zeros(4000, np.float32)) == -4).all()
    tone = 0.9 * np.sin(2 * np.pi * 3000 / MODEL_RATE * np.arange(4000)).astype(np.float32)
    assert 1 < MelStream().push(tone).max() <= 4


def test_frame_i_hears_sixteen_columns_from_its_own_begin() -> None:
    samples = FADING[: 15 * MODEL_SAMPLES]
    columns = whole(samples, silence=FRAME_COLUMNS * mel.HOP)
    heard = FrameWindows()
    windows = heard.push(samples) + heard.finish()
    assert len(windows) == 15
    for frame, window in enumerate(windows):
        start = int(frame * 80 / 25)
        np.testing.assert_allclose(window, columns[:, start : start + 16], atol=1e-4)


def test_a_frame_comes_after_its_look_ahead_and_not_later() -> None:
    heard = FrameWindows()
    counts = [len(heard.push(FADING[:MODEL_SAMPLES])) for _ in range(30)]
    waiting = LOOKAHEAD_MS // FRAME_MS
    assert counts == [0] * waiting + [1] * (30 - waiting)
    assert len(heard.finish()) == waiting


@pytest.mark.parametrize("chunks", [0, 1, 4, 5, 6])
def test_a_turn_however_short_gives_one_frame_a_chunk(chunks: int) -> None:
    heard = FrameWindows()
    windows = heard.push(FADING[: chunks * MODEL_SAMPLES]) + heard.finish()
    assert [window.shape for window in windows] == [(80, 16)] * chunks


def test_a_long_turn_keeps_no_more_than_a_short_one() -> None:
    heard = FrameWindows()
    for _ in range(500):
        heard.push(FADING[:MODEL_SAMPLES])
    assert len(heard._columns) < 2 * FRAME_COLUMNS and len(heard._mel._pending) < 2 * mel.WINDOW

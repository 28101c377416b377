"""How two rows of openings go together."""

from __future__ import annotations

import numpy as np

from tests.support.lips import lag_and_correlation

KNOWN = np.random.default_rng(1).random(80).astype(np.float32)


def test_a_row_that_comes_later_is_found_to_by_so_many_frames() -> None:
    lag, correlation = lag_and_correlation(np.roll(KNOWN, 4) * 2 + 1, KNOWN)
    assert lag == 4 and correlation > 0.99


def test_one_that_comes_early_has_a_negative_lag() -> None:
    assert lag_and_correlation(np.roll(KNOWN, -3), KNOWN)[0] == -3


def test_another_row_goes_with_it_at_no_lag() -> None:
    other = np.random.default_rng(2).random(80).astype(np.float32)
    assert lag_and_correlation(other, KNOWN)[1] < 0.5

"""Item 7: each sentence begins and ends with nothing, by way of a fade of 18 ms; measured after Opus.

level  ‾‾‾‾‾\\      /‾‾‾‾‾‾    two sentences of the same pitch, with no pause of their own between them:
             \\    /           without fades the tone would go through at its full level
nothing       \\__/
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conformance.guest import Guest

pytestmark = pytest.mark.integration

TEXT = "[1000] A first part. [1000] A second one."  # 20 characters each: whole video frames, so that nothing is padded
KHZ = 48  # samples a ms
FADE_MS = 18
NOTHING = 0.15  # of the level; the codec leaves some of a tone before and after it
LEVEL = 0.85


@pytest.fixture
async def loudness(guest: Guest) -> NDArray[np.float64]:
    """The tone's amplitude a ms (its period), in its level, from before the first sentence to after the last."""
    guest.server.need_tones()
    await guest.receiver.hear_more(200)
    told = await guest.ended(await guest.speak(TEXT))
    assert [data["text"] for name, data in told if name == "subtitle.chunk"] == [TEXT[:20], TEXT[21:]]
    await guest.receiver.hear_more(300)
    heard = np.abs(guest.receiver.samples().astype(np.float64))
    peaks: NDArray[np.float64] = heard[: len(heard) // KHZ * KHZ].reshape(-1, KHZ).max(axis=1)
    return peaks / float(np.median(peaks[peaks > peaks.max() / 2]))


def edges(loudness: NDArray[np.float64]) -> tuple[int, int]:
    """The ms in which the tone is first and last at its level."""
    loud = np.flatnonzero(loudness > LEVEL)
    return int(loud[0]), int(loud[-1])


async def test_the_first_sentence_rises_from_nothing(loudness: NDArray[np.float64]) -> None:
    start, _ = edges(loudness)
    assert loudness[: start - FADE_MS].max() < NOTHING
    assert np.count_nonzero(loudness[start - FADE_MS : start] > NOTHING) > FADE_MS / 2


async def test_between_two_sentences_the_sound_falls_to_nothing_and_rises_again(
    loudness: NDArray[np.float64],
) -> None:
    start, end = edges(loudness)
    low = np.flatnonzero(loudness[start:end] < 0.5) + start
    assert len(low) > FADE_MS / 2
    assert np.ptp(low) < 2 * FADE_MS  # there is one such place
    assert loudness[low].min() < NOTHING


async def test_the_last_sentence_falls_to_nothing(loudness: NDArray[np.float64]) -> None:
    _, end = edges(loudness)
    after = loudness[end + 1 :]
    assert np.count_nonzero(after > NOTHING) > FADE_MS / 2
    assert after[-100:].max() < NOTHING

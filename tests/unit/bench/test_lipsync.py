"""Where in what was received the sentences are whose phonemes are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.bench.lipsync import locate
from tests.support.phonemes import pronounce

SENTENCES = ("My father bought a big boat and a map of the bay.", "People jump up when the band begins to play.")
OTHER = "Bob himself has never seen a blue moon above Rome."


def received(*starts_s: float) -> NDArray[np.int16]:
    """Both sentences at these times, at 48 kHz and another level, in a little noise."""
    sound = np.random.default_rng(2).normal(0, 20, 48_000 * 8)
    for sentence, start in zip(SENTENCES, starts_s, strict=False):
        said = pronounce(sentence, end_pause=True)
        wave = np.interp(np.arange(int(len(said.pcm) / said.rate * 48_000)) / 48_000 * said.rate,
                         np.arange(len(said.pcm)), said.pcm)  # fmt: skip
        sound[round(start * 48_000) :][: len(wave)] += 0.6 * wave
    return sound.astype(np.int16)


def test_sentences_are_found_in_what_was_received() -> None:
    said = [pronounce(sentence, end_pause=True) for sentence in SENTENCES]
    found = locate(said, received(0.4321, 4.2))
    assert [piece.at for piece in found] == pytest.approx([0.4321, 4.2], abs=0.006)
    assert [piece.sentence for piece in found] == said


def test_a_sentence_that_was_stalled_is_found_in_pieces() -> None:
    said = [pronounce(sentence, end_pause=True) for sentence in SENTENCES]
    whole, at, stall = received(0.4, 4.2), 48_000, 12_000
    stalled = np.concatenate([whole[:at], np.zeros(stall, np.int16), whole[at:-stall]])
    found = locate(said, stalled)
    assert found[-1].at == pytest.approx(4.2 + 0.25, abs=0.006)
    for piece in found:
        late = 0.25 if 0.4 + piece.start > 1.0 else 0.0
        struck = 0.4 + piece.start < 1.0 < 0.4 + piece.end
        assert struck or piece.sentence is said[1] or piece.at - piece.start == pytest.approx(0.4 + late, abs=0.02)


def test_a_sentence_that_was_not_said_is_not_found() -> None:
    said = [pronounce(sentence, end_pause=True) for sentence in (SENTENCES[0], OTHER)]
    with pytest.raises(ValueError, match=r"sentence 2 of 2 was not heard: 0\.\d\d alike"):
        locate(said, received(0.3, 4.2))

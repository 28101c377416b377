"""How well recorded speech is understood while it streams in."""

from __future__ import annotations

import asyncio

from opentalking.config import Settings
from tests.bench import wer


async def test_recorded_speech_is_understood_at_the_pause_and_at_the_end(stt_settings: Settings) -> None:
    """2.5 % of 75 words where it was written; a word more on a processor that rounds otherwise is no defect."""
    figures = await asyncio.to_thread(wer.measure, stt_settings)
    assert figures["words"] > 70 and len(figures["texts"]) == figures["clips"] >= 6
    assert figures["wer_at_pause_percent"] <= 8, figures
    assert figures["wer_percent"] <= 8, figures


def test_errors_are_the_words_to_replace_leave_out_or_put_in() -> None:
    said = wer.words("Mr. Dashwood went forward ten meters.")
    assert said == ["mister", "dashwood", "went", "forward", "ten", "meters"]
    assert wer.errors(said, wer.words("mister dashwood, went forward 10 metres")) == 0
    assert wer.errors(said, wer.words("Mister Ashwood went ten meters meters")) == 3
    assert wer.errors(said, []) == 6 and wer.errors([], said) == 6

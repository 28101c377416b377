"""Item 4: /speak during speech ends the first turn and begins the second; nothing of the first is heard after."""

from __future__ import annotations

import pytest

from tests.conformance.guest import Guest
from tests.integration.tones import duration_ms, level, sounds, spoken

pytestmark = pytest.mark.integration


async def test_the_first_turn_ends_before_the_second_begins(guest: Guest) -> None:
    first = await guest.speak(spoken(440))
    await guest.told(first, "speech.media_started")
    second = await guest.speak("[880] Now this instead.")
    ended = first.started + len(await guest.ended(first)) - 1
    assert ended < second.started
    told = await guest.ended(second)
    assert "speech.media_started" in [name for name, _ in told]
    assert await guest.until_state("ready", "error") == "ready"


async def test_speak_during_speech_replaces_it_and_no_sample_of_it_comes_later(guest: Guest) -> None:
    guest.server.need_tones()
    first = await guest.speak(spoken(440))
    await guest.receiver.until(lambda: duration_ms(guest.receiver.samples(), 440) > 300)
    second = await guest.speak("[880] Now this instead.")
    assert (await guest.ended(first))[-1][1]["interrupted"] is True
    assert (await guest.ended(second))[-1][1]["interrupted"] is False
    await guest.receiver.hear_more(200)
    heard = guest.receiver.samples()
    assert sounds(heard, 440).max() <= sounds(heard, 880).min()
    assert level(heard, 440)[sounds(heard, 880).min() + 1 :].max() < 600

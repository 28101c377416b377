"""Item 5: an interruption of silence changes nothing; one of speech leaves the tracks as they are."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.conformance.guest import Guest
from tests.integration.tones import is_silent, spoken

pytestmark = pytest.mark.integration


async def test_interrupting_someone_who_is_silent_changes_nothing(guest: Guest) -> None:
    before = told(guest)
    answer = await guest.call("POST", "/interrupt")
    assert (answer["session_id"], answer["status"]) == (guest.session_id, "interrupted")
    await guest.receiver.hear_more(300)
    assert await guest.state() == "ready"
    assert told(guest) == before
    assert is_silent(guest.receiver.samples())


def told(guest: Guest) -> list[str]:
    return [name for name in guest.events.names() if name != "ping"]


def sources(guest: Guest) -> list[int]:
    """SSRCs that are being received."""
    receivers = guest.receiver.connection.getReceivers()
    return [source.source for receiver in receivers for source in receiver.getSynchronizationSources()]


async def test_an_interruption_leaves_tracks_and_ssrcs_as_they_were_and_the_idle_face_goes_on(guest: Guest) -> None:
    turn = await guest.speak(spoken(440))
    await guest.told(turn, "speech.media_started")
    await guest.receiver.until(lambda: not is_silent(guest.receiver.samples()))
    before = sources(guest)
    assert len(before) == 2
    await guest.call("POST", "/interrupt")
    await guest.ended(turn)
    assert await guest.until_state("ready", "error") == "ready"
    seen = len(guest.receiver.pictures)
    await guest.receiver.until(lambda: len(guest.receiver.pictures) >= seen + 25)
    await guest.receiver.hear_more(300)
    assert is_silent(guest.receiver.samples()[-48 * 200 :])
    assert sources(guest) == before
    stamps = [pts for _, pts, _ in guest.receiver.pictures]
    gaps = {(after - before) % 2**32 for before, after in pairwise(stamps)}
    assert all(0 < gap < 90_000 for gap in gaps)
    if guest.server.strict:
        assert gaps <= {1800, 3600, 5400}  # 40 ms; speech may begin half-way, and its end leaves a half behind

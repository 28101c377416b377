"""Item 12: a process killed in mid-speech: others notice nothing, and who is hurt resumes or is told why not."""

from __future__ import annotations

import asyncio

import aiohttp
import numpy as np
import pytest

from tests.conformance.guest import POLL_S, PREPARED_S, Guest
from tests.conformance.server import Server
from tests.integration.tones import duration_ms, eventually, is_silent, sounds, spoken

pytestmark = pytest.mark.integration

STILL_S = 5.0  # without any sound for so long, a page takes the connection for lost
ENDED = ("error", "closed")
LONG = 12  # sentences


async def being_heard(guest: Guest, hertz: int) -> dict[str, object]:
    turn = await guest.speak(spoken(hertz, LONG))
    await guest.told(turn, "speech.media_started")
    await guest.receiver.until(lambda: not is_silent(guest.receiver.samples()[-4800:]))
    return turn.answer


async def answered(guest: Guest) -> dict[str, str]:
    """The session's hash, as soon as the API is there to show it."""
    async with asyncio.timeout(PREPARED_S):
        while True:
            try:
                shown: dict[str, str] = await guest.call("GET", "", allow=(200, 502, 503))
            except aiohttp.ClientError:  # nobody listens
                shown = {}
            if "state" in shown:
                return shown
            await asyncio.sleep(POLL_S)


async def back(guest: Guest) -> bool:
    """Whatever was lost is opened again; False if the session has ended, which its hash says."""
    if (await answered(guest))["state"] in ENDED:
        return False
    try:
        await guest.receiver.hear_more(200, STILL_S)
        await guest.listen_again()
    except TimeoutError:
        await guest.reopen()
    return True


async def talks_again(guest: Guest) -> None:
    told = await guest.ended(await guest.speak("[660] Here I am again."))
    assert "speech.media_started" in [name for name, _ in told]
    assert not told[-1][1].get("interrupted", False)
    if guest.server.tones:
        await guest.receiver.hear_more(200)
        assert duration_ms(guest.receiver.samples(), 660) > 1000


async def test_who_is_hurt_resumes_or_is_told_and_nobody_else_notices(server: Server, role: str) -> None:
    server.need(server.kill and role in server.roles, f"a way to kill its {role} process (--kill-command)")
    assert server.kill is not None
    async with Guest(server) as hurt, Guest(server) as other:
        for guest in (hurt, other):
            await guest.create()
            await guest.connect()
        lost = await being_heard(hurt, 440)
        await being_heard(other, 880)
        session, others = await hurt.call("GET", ""), await other.call("GET", "")
        shared = f"{role}_worker" in session and session[f"{role}_worker"] == others[f"{role}_worker"]
        await server.kill(role, session)
        if role != "api":
            await the_loss_is_told(hurt, lost)
        if await back(hurt):
            await talks_again(hurt)
        if shared:
            server.need(False, f"two {role} workers, so that somebody is not hurt")
        await noticed_nothing(other)
    await nothing_is_left(server, hurt, other)


async def the_loss_is_told(hurt: Guest, lost: dict[str, object]) -> None:
    """By the end of the turn; or of the session, with a reason. No state is 'speaking' for ever."""
    state = await hurt.until_state("ready", *ENDED)
    if not hurt.server.strict:
        return
    if state in ENDED:
        assert (await hurt.events.wait("session.terminated"))["reason"]
        assert "error" in hurt.events.names()
    else:
        ended = await hurt.events.wait("speech.ended", lambda data: data["generation"] == lost["generation"])
        assert ended["interrupted"] is True


async def noticed_nothing(other: Guest) -> None:
    await answered(other)
    assert "error" not in other.events.names()
    await other.receiver.hear_more(200, STILL_S)
    heard = other.receiver.samples()
    if other.server.tones:
        assert np.diff(sounds(heard, 880)).max() <= 2  # sentences fade at their edges
    await other.listen_again()
    await talks_again(other)
    assert "error" not in other.events.names()


async def nothing_is_left(server: Server, *guests: Guest) -> None:
    """Of sessions that were closed; seen only where the suite runs on the server's machine."""
    if (leftovers := server.leftovers) is None:
        return
    await eventually(lambda: not any(leftovers(guest.session_id) for guest in guests), "their shared memory is gone")

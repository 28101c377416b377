"""Item 2: an offer waits for a session that is being prepared, and is answered with one sound and one picture, sent."""

from __future__ import annotations

import asyncio

import pytest
from aiortc.sdp import SessionDescription

from tests.conformance.guest import PREPARED_S, Guest
from tests.conformance.server import Server

pytestmark = pytest.mark.integration


async def test_an_answer_sends_one_picture_and_one_sound(server: Server) -> None:
    async with Guest(server) as guest:
        await guest.create()
        answer = await guest.call("POST", "/webrtc/offer", {"sdp": await guest.receiver.offer(), "type": "offer"})
        assert answer["type"] == "answer"
        media = SessionDescription.parse(answer["sdp"]).media
        assert sorted((line.kind, line.direction) for line in media) == [("audio", "sendonly"), ("video", "sendonly")]
        assert len({source.ssrc for line in media for source in line.ssrc}) >= 2


async def test_an_offer_that_makes_no_sense_is_refused_and_the_next_one_is_answered(server: Server) -> None:
    async with Guest(server) as guest:
        await guest.create()
        refused = await guest.call("POST", "/webrtc/offer", {"sdp": "v=0\r\n", "type": "offer"}, allow=(400, 422, 502))
        assert refused["detail"]
        assert not server.strict or refused["code"] == "bad_offer"
        await guest.connect()


async def test_an_offer_that_comes_at_once_is_answered_when_the_session_is_prepared(server: Server) -> None:
    """It may be told that nobody has picked the session up yet (404), or that it is loading (503); never more."""
    async with Guest(server) as guest:
        body = {"avatar_id": server.avatar, "model": server.model}
        guest.session_id = (await guest.request("POST", "/sessions", body))["session_id"]
        guest.events = guest.listen()
        offer = {"sdp": await guest.receiver.offer(), "type": "offer"}
        async with asyncio.timeout(PREPARED_S):
            answer = {"detail": "not asked"}
            while "detail" in answer:
                answer = await guest.call("POST", "/webrtc/offer", offer, allow=(200, 404, 503))
        await guest.receiver.accept(answer["sdp"])
        await asyncio.wait_for(guest.receiver.first_picture.wait(), 60)


async def test_who_comes_back_with_a_new_offer_is_answered_in_the_same_session(guest: Guest) -> None:
    offer = {"sdp": await (again := guest.new_receiver()).offer(), "type": "offer"}
    answer = await guest.call("POST", "/webrtc/offer", offer, allow=(200, 400, 404, 409, 502))
    guest.server.need("sdp" in answer, "a second offer for a session")
    await again.accept(answer["sdp"])
    await asyncio.wait_for(again.first_picture.wait(), 60)

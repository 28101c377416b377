"""Offers: who answers them, and what happens when nobody does."""

from __future__ import annotations

import asyncio

import pytest

from api.routes import webrtc
from opentalking.store import Offer, Open
from tests.api_client import Api

OFFER = {"sdp": "v=0\r\n", "type": "offer"}


async def the_offer(api: Api) -> Offer:
    opened, offer = await api.sent("a:rtc-1", 2)
    assert isinstance(opened, Open) and isinstance(offer, Offer)
    return offer


async def test_an_offer_goes_to_the_rtc_worker_and_its_answer_comes_back(api: Api) -> None:
    session_id = await api.new_session(ready=True)
    posted = asyncio.create_task(api.post(f"/sessions/{session_id}/webrtc/offer", OFFER))
    offer = await the_offer(api)
    assert (offer.session_id, offer.sdp, offer.type) == (session_id, "v=0\r\n", "offer")
    await api.store.reply(offer.request_id, {"sdp": "v=0\r\ns=-\r\n", "type": "answer"})
    assert await posted == (200, {"sdp": "v=0\r\ns=-\r\n", "type": "answer"})


async def test_an_offer_waits_while_the_session_is_being_loaded(api: Api) -> None:
    session_id = await api.new_session()
    posted = asyncio.create_task(api.post(f"/sessions/{session_id}/webrtc/offer", OFFER))
    await api.store.mark_ready(session_id, "rtc")
    await api.store.mark_ready(session_id, "inference")
    offer = await the_offer(api)
    await api.store.reply(offer.request_id, {"sdp": "v=0\r\n", "type": "answer"})
    assert (await posted)[0] == 200


async def test_an_offer_for_a_session_that_no_worker_picks_up_is_404(api: Api) -> None:
    session_id = await api.new_session()
    detail = f"session {session_id} is not loaded yet"
    assert await api.post(f"/sessions/{session_id}/webrtc/offer", OFFER) == (
        404,
        {"detail": detail, "code": "session_not_loaded"},
    )


async def test_an_offer_for_a_session_that_loads_for_too_long_may_be_repeated(api: Api) -> None:
    session_id = await api.new_session()
    await api.store.mark_ready(session_id, "rtc")
    async with api.client.post(f"/sessions/{session_id}/webrtc/offer", json=OFFER) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        detail = f"session {session_id} is still loading its avatar"
        assert await response.json() == {"detail": detail, "code": "session_loading"}


async def test_an_offer_that_is_not_answered_is_504(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "ANSWER_S", 0.05)
    session_id = await api.new_session(ready=True)
    detail = "a:rtc-1 did not answer the offer within 0.05 s"
    assert await api.post(f"/sessions/{session_id}/webrtc/offer", OFFER) == (
        504,
        {"detail": detail, "code": "no_answer"},
    )


@pytest.mark.parametrize(
    ("reply", "status", "detail"),
    [
        ({"code": "bad_offer", "detail": "no audio"}, 400, "no audio"),
        ({"code": "offer_timeout", "detail": "too slow"}, 504, "too slow"),
        ({"code": "no_ports", "detail": "the port range is used up"}, 502, "the port range is used up"),
    ],
)
async def test_a_refusal_of_the_worker_keeps_its_code(
    api: Api, reply: dict[str, str], status: int, detail: str
) -> None:
    session_id = await api.new_session(ready=True)
    posted = asyncio.create_task(api.post(f"/sessions/{session_id}/webrtc/offer", OFFER))
    await api.store.reply((await the_offer(api)).request_id, dict(reply))
    assert await posted == (status, {"detail": detail, "code": reply["code"]})


@pytest.mark.parametrize(
    ("body", "status", "code", "detail"),
    [
        ({"sdp": "v=0"}, 422, "invalid_field", "type: required"),
        ({"type": "offer"}, 422, "invalid_field", "sdp: required"),
        ({"sdp": "v=0", "type": "answer"}, 422, "invalid_field", "type: Invalid enum value 'answer'"),
        ({"sdp": None, "type": "offer"}, 422, "invalid_field", "sdp: Expected `str`, got `null`"),
        ({"sdp": "hello", "type": "offer"}, 400, "invalid_sdp", "sdp: a session description begins with v=0"),
    ],
)
async def test_what_is_not_an_offer_is_refused(
    api: Api, body: dict[str, object], status: int, code: str, detail: str
) -> None:
    session_id = await api.new_session(ready=True)
    assert await api.post(f"/sessions/{session_id}/webrtc/offer", body) == (status, {"detail": detail, "code": code})

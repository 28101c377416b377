"""Clients that stop reading, lose packets, come back from elsewhere: nobody else notices, nothing is kept."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aioice.ice
import numpy as np
import psutil
import pytest

from tests.integration.conftest import TONES, running
from tests.integration.crashing import is_undisturbed, longest_gap_ms, speaks, speaks_again
from tests.integration.tones import duration_ms, eventually
from tests.support.client import Client, Events, Receiver
from tests.support.footprint import metrics
from tests.support.losses import Arrivals, Silence, another_port, lose, never_shake_hands, sockets
from tests.support.node import ROOT, Node

pytestmark = pytest.mark.integration

GRACE_S = 4
KEYFRAME_INTERVAL_MS = 500
FRAME_TICKS = 3600


@pytest.fixture(scope="module")
def patient(models: Path) -> Iterator[Node]:
    settings = {
        "OPENTALKING_PEER_GRACE_S": str(GRACE_S),
        "OPENTALKING_KEYFRAME_MIN_INTERVAL_MS": str(KEYFRAME_INTERVAL_MS),
    }
    yield from running(Node(cache=models, **TONES, **settings))


@pytest.fixture
async def bad(patient: Node) -> AsyncIterator[Client]:
    async with Client(patient.base) as client:
        await client.create()
        await client.connect()
        yield client


@asynccontextmanager
async def undisturbed(node: Node) -> AsyncIterator[Client]:
    """Another session speaks meanwhile: it may lose no picture and no sound."""
    async with Client(node.base) as other:
        await other.create()
        await other.connect()
        await speaks(other, 880, sentences=40)
        since = time.time()
        yield other
        await is_undisturbed(other.receiver, since)
        await other.call("POST", "/interrupt")
        await other.events.wait("speech.ended")
        assert longest_gap_ms(other.receiver.samples(), 880) <= 20  # sentences fade at their edges
        assert "error" not in other.events.names()


def follow_without_reading(node: Node, session_id: str) -> socket.socket:
    address = urlsplit(node.base)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((address.hostname, address.port))
    client.sendall(f"GET /sessions/{session_id}/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return client


async def streams(node: Node) -> float:
    return (await metrics(node))["opentalking_event_streams",]


async def test_followers_that_never_read_are_dropped_and_cost_little_memory(patient: Node) -> None:
    followers, events, event_bytes = 12, 900, 6000
    api = patient.processes()["api"]
    async with undisturbed(patient), Client(patient.base) as client:
        session_id = await client.create()
        with patient.redis() as redis, redis.pipeline(transaction=False) as pipe:
            for _ in range(events):
                data = f'{{"session_id": "{session_id}", "delta": "{"x" * event_bytes}"}}'
                pipe.xadd(f"opentalking:events:{session_id}", {"event": "llm", "data": data})
            pipe.execute()
        await client.events.wait("llm")
        open_before, rss_before, most = await streams(patient), api.memory_info().rss, 0
        with ExitStack() as stack:
            for _ in range(followers):
                stack.enter_context(follow_without_reading(patient, session_id))
            was_open, now_open = 0.0, 0.0
            while was_open < followers or now_open > 0:
                now_open = await streams(patient) - open_before
                was_open = max(was_open, now_open)
                most = max(most, api.memory_info().rss - rss_before)
        assert most < followers * events * event_bytes / 2
        assert (await client.call("GET", ""))["state"] == "worker_ready"


async def visitor(node: Node) -> tuple[asyncio.subprocess.Process, str]:
    """A client in a process of its own; returns the process and its session."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.visitor", node.base), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, (await process.stdout.readline()).decode().strip()


async def test_clients_that_stop_answering_are_given_up_after_the_grace_unless_they_come_back(
    patient: Node, bad: Client
) -> None:
    """One is a process that was stopped, the other lost its network for more than half a minute."""
    process, session_id = await visitor(patient)
    stopped = Events(bad.http, f"{patient.base}/sessions/{session_id}/events")
    try:
        async with undisturbed(patient):
            psutil.Process(process.pid).suspend()
            with Silence(bad.receiver):
                await bad.events.wait("session.peer", lambda data: data["state"] == "lost")
                bad.receiver, lost = Receiver(), bad.receiver
                await bad.connect()
            assert (await stopped.wait("session.terminated"))["reason"] == "peer_gone"
            await eventually(lambda: not (patient.shm / session_id).exists(), "its shared memory is gone")
            await lost.close()
            await speaks_again(bad)
    finally:
        process.kill()
        await process.wait()
        await stopped.close()


async def test_a_client_whose_network_is_silent_for_a_while_goes_on_where_it_was(patient: Node, bad: Client) -> None:
    async with undisturbed(patient) as other:
        turn = await speaks(bad, 440, sentences=8)
        with Silence(bad.receiver):
            await other.receiver.hear_more(8000)  # longer than the period of ICE's consent, shorter than its patience
        seen = len(bad.receiver.pictures)
        ended = await bad.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
        assert ended["interrupted"] is False
        await bad.receiver.until(lambda: len(bad.receiver.pictures) > seen + 50)
    assert [data["state"] for _, name, data in bad.events.seen if name == "session.peer"][-1] == "connected"


async def test_a_client_that_loses_a_third_of_the_packets_sees_and_hears_on(patient: Node, bad: Client) -> None:
    """Asked for a keyframe far more often than it may be, the server sends no more of them than the setting says."""
    rtc = psutil.Process(patient.processes()["rtc-0"].pid)
    async with undisturbed(patient) as other:
        await speaks(bad, 440, sentences=14)
        before, rss_before = sum(rtc.cpu_times()[:2]), rtc.memory_info().rss
        await other.receiver.hear_more(6000)
        middle = sum(rtc.cpu_times()[:2])
        lose(bad.receiver, 1 / 3, seed=3)
        arrivals, first = Arrivals(bad.receiver), len(bad.receiver.pictures)
        nagging = asyncio.create_task(ask_for_keyframes(bad.receiver))
        await other.receiver.hear_more(12_000)
        after = sum(rtc.cpu_times()[:2])
        nagging.cancel()
        stamps = [stamp for _, stamp, _ in bad.receiver.pictures[first:]]
        assert (after - middle) / 2 < 3 * (middle - before)
        assert rtc.memory_info().rss - rss_before < 30e6
    assert len(stamps) > 12 * 25 / 4
    assert max(np.diff(stamps)) <= 90_000 * 2  # it never stands still for long
    assert len(arrivals.sound) > 12 * 50 / 2  # of which two thirds arrive
    assert len(arrivals.keyframes) > 5
    span_ms = (max(arrivals.keyframes) - min(arrivals.keyframes)) / 90
    assert len(arrivals.keyframes) - 2 <= span_ms / KEYFRAME_INTERVAL_MS  # one more in a span, and one that came late


async def ask_for_keyframes(receiver: Receiver) -> None:
    """A hundred times a second."""
    video = next(rtp for rtp in receiver.connection.getReceivers() if rtp.track.kind == "video")
    while True:
        for ssrc in list(video._RTCRtpReceiver__active_ssrc):
            await video._send_rtcp_pli(ssrc)
        await asyncio.sleep(0.01)


async def test_a_client_whose_nat_gives_it_another_port_is_followed(patient: Node, bad: Client) -> None:
    async with undisturbed(patient):
        turn = await speaks(bad, 440, sentences=8)
        await another_port(bad.receiver)
        seen = len(bad.receiver.pictures)
        await bad.receiver.until(lambda: len(bad.receiver.pictures) > seen + 100)
        ended = await bad.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
        assert ended["interrupted"] is False
    assert "lost" not in [data["state"] for _, name, data in bad.events.seen if name == "session.peer"]


async def test_a_client_that_offers_again_from_another_address_is_spoken_to_there(
    patient: Node, bad: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with undisturbed(patient):
        turn = await speaks(bad, 440, sentences=4)
        old, bad.receiver = bad.receiver, Receiver()
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.2"])
        await bad.connect()
        assert {protocol.transport.get_extra_info("sockname")[0] for protocol in sockets(bad.receiver)} == {"127.0.0.2"}
        ended = await bad.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
        assert ended["interrupted"] is False
        assert duration_ms(bad.receiver.samples(), 440) > 3000
        await eventually(lambda: old.connection.connectionState == "closed", "the old connection is let go")
        await old.close()


async def test_an_offer_that_cannot_be_answered_leaves_the_connection_as_it_is(patient: Node, bad: Client) -> None:
    turn, since = await speaks(bad, 440, sentences=4), time.time()
    sdp = (await Receiver().offer()).replace("m=audio", "m=odd").replace("H264", "H265").replace("VP8", "VP7")
    refused = await bad.call("POST", "/webrtc/offer", {"sdp": sdp, "type": "offer"}, allow=(400,))
    assert refused["code"] == "bad_offer"
    ended = await bad.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    assert ended["interrupted"] is False
    await bad.receiver.hear_more(200)
    assert duration_ms(bad.receiver.samples(), 440) > 8000
    await is_undisturbed(bad.receiver, since)


@pytest.mark.parametrize("how", ["never follows it up", "never shakes hands"])
async def test_a_client_that_offers_again_and_never_connects_is_given_up(patient: Node, bad: Client, how: str) -> None:
    async with undisturbed(patient):
        old, bad.receiver = bad.receiver, Receiver()
        offer: dict[str, Any] = {"sdp": await bad.receiver.offer(), "type": "offer"}
        answer = await bad.call("POST", "/webrtc/offer", offer)
        if how == "never shakes hands":
            never_shake_hands(bad.receiver)
            await bad.receiver.accept(answer["sdp"])
        assert (await bad.events.wait("session.terminated"))["reason"] == "peer_gone"
        await old.close()


async def test_a_page_that_reloads_again_and_again_never_loses_the_turn_it_asks_for_next(bad: Client) -> None:
    """The loss of the connection before is heard before the new offer, with it, or after it."""
    for n in range(8):
        await speaks(bad, 440)
        old, bad.receiver = bad.receiver, Receiver()
        closing = asyncio.create_task(old.close())
        if n % 3:
            await asyncio.sleep(0.03 * (n % 3))
        await bad.connect()
        turn = await bad.call("POST", "/speak", {"text": "[660] Here I am again."})
        ended = await bad.events.wait("speech.ended", lambda data, g=turn["generation"]: data["generation"] == g)
        assert ended["interrupted"] is False
        await closing

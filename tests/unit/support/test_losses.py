"""What counts as a keyframe that arrived."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from aiortc.rtp import RtpPacket

from tests.support.client import Receiver
from tests.support.losses import Arrivals

PICTURES, REPEATS = 7, 8  # SSRCs
IDR, DELTA = b"\x65\x88", b"\x41\x9a"
LIKE_AN_IDR = b"\x05\x12"  # sequence number 1298


class _Video:
    """As much of aiortc's receiver as is listened to."""

    def __init__(self) -> None:
        self.track = SimpleNamespace(kind="video")
        self._RTCRtpReceiver__rtx_ssrc = {REPEATS: PICTURES}

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None: ...


async def keyframes(*packets: tuple[int, int, bytes]) -> set[int]:
    """Those of what arrives as (SSRC, time stamp, payload)."""
    video = _Video()
    connection = SimpleNamespace(getReceivers=lambda: [video])
    arrivals = Arrivals(cast(Receiver, SimpleNamespace(connection=connection)))
    handle = cast(Any, video)._handle_rtp_packet
    for ssrc, timestamp, payload in packets:
        await handle(RtpPacket(ssrc=ssrc, timestamp=timestamp, payload=payload), arrival_time_ms=0)
    return arrivals.keyframes


async def test_a_keyframe_is_told_from_the_pictures_that_follow_it() -> None:
    assert await keyframes((PICTURES, 0, IDR), (PICTURES, 3600, DELTA), (PICTURES, 7200, b"\x7c\x05")) == {0, 7200}


async def test_a_packet_sent_again_is_read_behind_its_old_sequence_number() -> None:
    assert await keyframes((REPEATS, 0, LIKE_AN_IDR + DELTA), (REPEATS, 3600, b"\x01\x02" + IDR)) == {3600}

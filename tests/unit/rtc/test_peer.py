"""A browser's connection: codec, tracks, microphone, errors, leaving; over real aiortc connections."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from opentalking.rtc.idle import EncodedLoop, Face, encode_loop
from opentalking.rtc.microphone import MicrophoneSink
from opentalking.rtc.peer import OfferError, Peer, PeerOptions, choose_codec
from opentalking.rtc.playout import AVSlot, Playout
from opentalking.rtc.video import Codec
from opentalking.types import PLAYBACK_SAMPLES, Int16, UInt8
from tests.unit.rtc.browser import Browser
from tests.unit.rtc.stage import Observer, Source, moving_face, psnr, turn_of

OFFERS = Path(__file__).parent / "offers"
PATIENCE_S = 60
POSES = 60
CHROMIUM = (OFFERS / "chromium.sdp").read_text().replace("\n", "\r\n")


def with_codecs(sdp: str, keep: Callable[[str], bool]) -> str:
    """The offer with those video codecs only whose description (name and parameters) `keep` approves."""
    lines = sdp.split("\r\n")
    video = next(n for n, line in enumerate(lines) if line.startswith("m=video"))
    types = lines[video].split()[3:]
    described = {
        t: " ".join(line for line in lines if line.startswith((f"a=rtpmap:{t} ", f"a=fmtp:{t} "))) for t in types
    }
    kept = [t for t in types if keep(described[t])]
    lines[video] = " ".join([*lines[video].split()[:3], *kept])
    dropped = tuple(f"a={what}:{t} " for what in ("rtpmap", "fmtp", "rtcp-fb") for t in types if t not in kept)
    return "\r\n".join(line for line in lines if not line.startswith(dropped))


VP8_ONLY = with_codecs(CHROMIUM, lambda codec: "VP8" in codec)
H264_ONLY = with_codecs(CHROMIUM, lambda codec: "H264" in codec)
HIGH_PROFILE_AND_VP8 = with_codecs(CHROMIUM, lambda codec: "VP8" in codec or "profile-level-id=f4" in codec)
NEITHER = with_codecs(CHROMIUM, lambda codec: "VP9" in codec or "AV1" in codec)


@pytest.mark.parametrize(
    ("offer", "preferred", "chosen"),
    [
        (CHROMIUM, "h264", "h264"),
        (CHROMIUM, "vp8", "vp8"),
        (VP8_ONLY, "h264", "vp8"),
        (VP8_ONLY, "vp8", "vp8"),
        (H264_ONLY, "vp8", "h264"),
        (HIGH_PROFILE_AND_VP8, "h264", "vp8"),
    ],
)
def test_the_preferred_codec_is_chosen_if_the_browser_can_decode_it(
    offer: str, preferred: Codec, chosen: Codec
) -> None:
    assert choose_codec(offer, preferred) == chosen


@pytest.mark.parametrize("offer", [NEITHER, CHROMIUM.split("m=video")[0]], ids=["other codecs", "no video"])
def test_an_offer_without_a_codec_of_ours_says_so(offer: str) -> None:
    with pytest.raises(OfferError, match=r"neither H\.264 \(baseline\) nor VP8"):
        choose_codec(offer, "h264")


class Served:
    """A peer with a playout, as the rtc worker has them."""

    def __init__(
        self,
        executor: ThreadPoolExecutor,
        codec: Codec = "h264",
        public_address: str = "",
        ear: MicrophoneSink | None = None,
    ) -> None:
        self.states: list[str] = []
        self.closed = asyncio.Event()
        self.source, self.observer = Source(), Observer()
        self.clip = moving_face(POSES)
        self.playout = Playout(self.source, self.observer, Face(self.clip, lambda codec: self.loop), 2)
        self.peer = Peer(PeerOptions(codec, 1_000_000, 32_000, 0.0, (), public_address), self._on_state, ear)
        self.loop: EncodedLoop | None = None
        self._executor = executor

    def _on_state(self, state: str) -> None:
        self.states.append(state)
        if state == "closed":
            self.closed.set()

    async def answer(self, offer: str) -> str:
        return await self.peer.answer(offer, self.playout, self._executor)

    def speak(self, slots: int) -> None:
        """Queue a turn: a tone, and pictures that are the inverted idle face."""
        time = np.arange(slots * PLAYBACK_SAMPLES) / 48_000
        tone = (12_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
        for slot in turn_of(1, slots, tone):
            self.source.slots.append(AVSlot(1, slot.info, slot.pose, slot.pcm, 255 - self.clip[slot.pose]))


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Served]]:
    made: list[Served] = []

    with ThreadPoolExecutor(1) as executor:

        def make(**options: Any) -> Served:
            made.append(Served(executor, **options))
            return made[-1]

        yield make
        for served in made:
            await served.peer.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    made = Browser()
    yield made
    await made.connection.close()


@pytest.mark.parametrize("offer", [CHROMIUM, VP8_ONLY, H264_ONLY, HIGH_PROFILE_AND_VP8])
async def test_chromiums_offer_is_answered_with_one_codec(serve: Callable[..., Served], offer: str) -> None:
    served = serve()
    answer = await served.answer(offer)
    video = answer.split("m=video")[1]
    names = {line.split()[1] for line in video.split("\r\n") if line.startswith("a=rtpmap")}
    assert names - {"rtx/90000"} == {{"h264": "H264/90000", "vp8": "VP8/90000"}[str(served.peer.codec)]}
    assert "a=sendonly" in video


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_a_browser_sees_the_face_and_hears_the_speech(
    serve: Callable[..., Served], browser: Browser, codec: Codec
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve(codec=codec)
        answer = await served.answer(await browser.offer())
        assert {"h264": "H264/90000", "vp8": "VP8/90000"}[codec] in answer
        await browser.accept(answer)
        pictures = await browser.receive("video", 5)
        best = [max(psnr(picture.to_ndarray(format="yuv420p"), idle) for idle in served.clip) for picture in pictures]
        assert min(best) > 27
        assert np.diff([picture.pts for picture in pictures]).min() > 0
        served.speak(25)
        loud = 0
        while loud < 10:
            (sound,) = await browser.receive("audio", 1)
            loud += int(np.abs(sound.to_ndarray()).max() > 5_000)
        dark = served.clip[3]
        while True:
            (picture,) = await browser.receive("video", 1)
            if psnr(picture.to_ndarray(format="yuv420p"), dark) < 15:  # the inverted face
                break
        assert served.states[-1] == "connected"


async def test_the_first_picture_of_a_turn_is_told_by_the_time_stamp_that_the_browser_sees(
    serve: Callable[..., Served], browser: Browser
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve()
        await browser.accept(await served.answer(await browser.offer()))
        receiver = browser.receiver("video")
        handle, stamps = receiver._handle_rtp_packet, list[int]()

        async def noting(packet: Any, **arrived: Any) -> None:
            stamps.append(packet.timestamp)
            await handle(packet, **arrived)

        receiver._handle_rtp_packet = noting
        await browser.receive("video", 3)
        served.speak(10)
        dark = served.clip[3]
        while True:
            (picture,) = await browser.receive("video", 1)
            if psnr(picture.to_ndarray(format="yuv420p"), dark) < 15:  # the inverted face
                break
        (told,) = served.observer.video_timestamps
        assert told in stamps
        origin = receiver._RTCRtpReceiver__timestamp_mapper._origin  # from which aiortc counts a picture's pts
        assert (picture.pts + origin) % 2**32 == told


async def test_a_lost_picture_is_asked_for_and_sent_as_a_keyframe(
    serve: Callable[..., Served], browser: Browser
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve()
        await browser.accept(await served.answer(await browser.offer()))
        await browser.receive("video", 1)
        transmitter: Any = served.peer.transmitter
        encoder = transmitter.stream._encoder
        encode, keyframe = encoder.encode, threading.Event()

        def watched(pixels: UInt8, wanted: bool) -> tuple[bytes, bool]:
            unit, is_key = encode(pixels, wanted)
            if is_key:
                keyframe.set()
            return unit, is_key

        encoder.encode = watched
        await browser.receive("video", 3)
        assert not keyframe.is_set()
        sender = next(t.sender for t in served.peer._connection.getTransceivers() if t.kind == "video")
        await browser.receiver("video")._send_rtcp_pli(sender._ssrc)
        assert await asyncio.to_thread(keyframe.wait, PATIENCE_S)


async def test_an_idle_session_is_served_from_the_loop(serve: Callable[..., Served], browser: Browser) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve()
        served.loop = encode_loop(served.clip, "h264", 1_000_000)
        await browser.accept(await served.answer(await browser.offer()))
        transmitter: Any = served.peer.transmitter
        while transmitter.stream.loop_frames < 5:
            (picture,) = await browser.receive("video", 1)
        best = max(psnr(picture.to_ndarray(format="yuv420p"), idle) for idle in served.clip)
        assert best > 27


def received(served: Served, kind: str) -> Any:
    return next(t.receiver for t in served.peer._connection.getTransceivers() if t.kind == kind)


async def packets_received(receiver: Any) -> int:
    stats = await receiver.getStats()
    return sum(s.packetsReceived for s in stats.values() if s.type == "inbound-rtp")


class Ear:
    """A sink: what it heard, and how often it was told that this was all."""

    def __init__(self) -> None:
        self.sound: list[Int16] = []
        self.samples: list[int] = []
        self.more = asyncio.Event()
        self.endings = 0

    def heard(self, sample: int, pcm: Int16) -> None:
        self.sound.append(pcm)
        self.samples.append(sample)
        self.more.set()

    def ended(self) -> None:
        self.endings += 1

    async def hears(self, packets: int) -> None:
        while len(self.sound) < packets:
            self.more.clear()
            await self.more.wait()


class Tone(AudioStreamTrack):
    """A microphone in front of a tuning fork."""

    async def recv(self) -> Any:
        frame: Any = await super().recv()
        time = (frame.pts + np.arange(frame.samples)) / frame.sample_rate
        frame.planes[0].update((8_000 * np.sin(2 * np.pi * 500 * time)).astype(np.int16).tobytes())
        return frame


@pytest.mark.parametrize("ear", [None, Ear()], ids=["nobody", "somebody"])
async def test_what_the_microphone_sends_is_drained(
    serve: Callable[..., Served], browser: Browser, ear: Ear | None
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve(ear=ear)
        browser.connection.addTrack(AudioStreamTrack())
        browser.connection.addTransceiver("video", direction="recvonly")
        await browser.accept(await served.answer(await browser.offer()))
        await browser.receive("audio", 50)
        microphone = received(served, "audio")
        assert await packets_received(microphone) > 20
        assert microphone.track._queue.qsize() < 5


async def test_what_the_microphone_hears_is_handed_over_at_16_khz(
    serve: Callable[..., Served], browser: Browser
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        ear = Ear()
        served = serve(ear=ear)
        browser.connection.addTrack(Tone())
        browser.connection.addTransceiver("video", direction="recvonly")
        await browser.accept(await served.answer(await browser.offer()))
        await ear.hears(50)
        sound = np.concatenate(ear.sound[10:])
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        assert abs(int(spectrum.argmax()) * 16_000 / len(sound) - 500) < 10
        await served.peer.close()
        assert ear.endings == 1


async def test_a_microphone_that_is_put_in_taken_out_and_put_in_again_needs_no_new_offer(
    serve: Callable[..., Served], browser: Browser
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        ear = Ear()
        served = serve(ear=ear)
        microphone = browser.connection.addTransceiver("audio", direction="sendrecv")
        browser.connection.addTransceiver("video", direction="recvonly")
        answer = await served.answer(await browser.offer())
        assert "a=sendrecv" in answer.split("m=video")[0]
        await browser.accept(answer)
        await browser.receive("audio", 25)
        assert ear.sound == []
        for _ in range(2):
            microphone.sender.replaceTrack(Tone())
            await ear.hears(len(ear.sound) + 20)
            microphone.sender.replaceTrack(None)
            await browser.receive("audio", 25)
        assert ear.samples == sorted(ear.samples)
        assert ear.endings == 0


async def test_of_several_tracks_the_first_with_sound_is_the_microphone_and_none_piles_up(
    serve: Callable[..., Served], browser: Browser
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        ear = Ear()
        served = serve(ear=ear)
        browser.connection.addTrack(VideoStreamTrack())
        browser.connection.addTrack(Tone())
        browser.connection.addTrack(AudioStreamTrack())
        await browser.accept(await served.answer(await browser.offer()))
        await ear.hears(30)
        while await packets_received(received(served, "video")) < 10:
            await browser.receive("audio", 5)
        assert max(int(np.abs(pcm).max()) for pcm in ear.sound) > 4_000
        tracks: list[Any] = [receiver.track for receiver in served.peer._connection.getReceivers() if receiver.track]
        assert max(track._queue.qsize() for track in tracks) <= 1  # aiortc's mark that nothing more is decoded


async def test_second_media_sections_and_a_data_channel_do_no_harm(
    serve: Callable[..., Served], browser: Browser
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve()
        for kind in ("audio", "video", "audio", "video"):
            browser.connection.addTransceiver(kind, direction="recvonly")
        browser.connection.createDataChannel("chat")
        await browser.accept(await served.answer(await browser.offer()))
        assert len(await browser.receive("audio", 3)) == len(await browser.receive("video", 3)) == 3


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "hello",
        CHROMIUM.replace("a=setup:actpass\r\n", "").replace("a=fingerprint", "a=finger"),
        CHROMIUM.replace("UDP/TLS/RTP/SAVPF 111", "UDP/TLS/RTP/SAVPF x"),
        CHROMIUM[: CHROMIUM.index("a=rtpmap:96")],
    ],
    ids=["empty", "no SDP", "no fingerprint", "payload type", "cut off"],
)
async def test_an_offer_that_cannot_be_used_is_refused(serve: Callable[..., Served], offer: str) -> None:
    with pytest.raises(OfferError, match=r"the offer (cannot be used|contains neither)"):
        await serve().answer(offer)


async def test_an_offer_without_sound_is_refused_as_nothing_would_keep_its_time(serve: Callable[..., Served]) -> None:
    with pytest.raises(OfferError, match="no audio section"):
        await serve().answer(CHROMIUM.replace("m=audio", "m=text"))


async def test_the_answer_announces_the_public_address(serve: Callable[..., Served]) -> None:
    answer = await serve(public_address="203.0.113.7").answer(CHROMIUM)
    assert " 203.0.113.7 " in answer


async def test_a_browser_that_leaves_is_reported_once_as_closed(serve: Callable[..., Served], browser: Browser) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve()
        await browser.accept(await served.answer(await browser.offer()))
        await browser.receive("audio", 1)
        await browser.connection.close()
        await served.closed.wait()
        assert served.states[:2] == ["connecting", "connected"]
        assert served.states.count("closed") == 1


async def test_a_peer_that_was_closed_by_us_reports_nothing_more(
    serve: Callable[..., Served], browser: Browser
) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve()
        await browser.accept(await served.answer(await browser.offer()))
        await browser.receive("audio", 1)
        before = list(served.states)
        await served.peer.close()
        await served.peer.close()
        assert served.states == before


async def test_the_playout_goes_on_with_the_next_browser(serve: Callable[..., Served], browser: Browser) -> None:
    async with asyncio.timeout(PATIENCE_S):
        served = serve()
        await browser.accept(await served.answer(await browser.offer()))
        await browser.receive("video", 2)
        await served.peer.close()
        pose = served.playout.pose
        served.peer = Peer(PeerOptions("h264", 1_000_000, 32_000, 0.3), served._on_state)
        second = Browser()
        await second.accept(await served.answer(await second.offer()))
        await second.receive("video", 2)
        await second.connection.close()
        assert served.playout.pose != pose

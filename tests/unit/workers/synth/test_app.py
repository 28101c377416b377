"""Client and server against each other, and the server against clients of the original and against bad ones."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.models.adapter import ModelError
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.remote import wire
from opentalking.models.remote.wire import Opening
from opentalking.types import AudioChunk, Float32, UInt8, i420_shape
from tests.support.late import LateDriver, pitches, tones
from tests.support.mirror import MirrorAdapter, MirrorAvatar, pitch_distance, reading
from tests.support.synth import SynthThread
from tests.unit.models.portrait.speech import speak
from workers.synth.faces import decoded, nearest_pose

Serve = Callable[..., SynthThread]
Connect = Callable[..., LateDriver]
PRESENTER = (PACKAGED / "presenter" / "reference.png").read_bytes()
INIT = wire.encode_opening(Opening(ref_image=PRESENTER, width=512, height=512, extensions=frozenset()), "omnirt")

INIT_WITH_OURS = wire.encode_opening(Opening(ref_image=PRESENTER, width=512, height=512), "omnirt")


def shows(pictures: Sequence[UInt8], hertz: Sequence[int]) -> bool:
    seen = [reading(picture).hertz for picture in pictures]
    return len(seen) == len(hertz) and all(
        shown is not None and pitch_distance(shown, wanted) < 140 for shown, wanted in zip(seen, hertz, strict=True)
    )


def pictures(driver: LateDriver, hertz: list[int]) -> list[UInt8]:
    return [prediction.picture for prediction in driver.speak(tones(hertz))]


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> PortraitAdapter:
    adapter = PortraitAdapter(cache_dir=tmp_path_factory.mktemp("cache"))
    adapter.load_model("cpu")
    return adapter


# ---- our client


@pytest.mark.parametrize("slots", [1, 8, 9, 61])
def test_each_slot_gets_the_picture_of_its_own_sound(serve: Serve, connect: Connect, slots: int) -> None:
    driver = connect(serve(MirrorAdapter()))
    for first in (0, 4):
        hertz = pitches(slots, first)
        assert shows(pictures(driver, hertz), hertz)


def test_the_face_is_the_local_ones_but_for_jpeg(serve: Serve, connect: Connect, portrait: PortraitAdapter) -> None:
    chunks = speak("Hello there, what a big boat.").chunks()[:40]
    avatar = portrait.load_avatar(PACKAGED / "drawn")  # whose manifest has metadata that the server must know of
    stream = portrait.open_stream(avatar)
    mouths: list[Float32] = []
    for chunk in [*chunks, None]:
        mouths += portrait.infer(portrait.extract_features(chunk, stream), stream)
    driver = connect(serve(portrait), avatar="drawn")
    found = driver.speak(np.stack([chunk.data for chunk in chunks]))
    assert len(found) == len(mouths) == len(chunks)
    assert (driver.adapter.chunk_ms, driver.adapter.lookahead_ms) == (40, portrait.lookahead_ms)
    ours = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
    start = nearest_pose(portrait, avatar, decoded((PACKAGED / "drawn" / "reference.png").read_bytes()))
    for pose, (mouth, prediction) in enumerate(zip(mouths, found, strict=True), start):
        portrait.compose_frame(stream, pose, mouth, ours)
        assert np.abs(prediction.picture.astype(int) - through_jpeg(ours)).max() <= 2


def through_jpeg(i420: UInt8) -> Any:
    """As a picture looks after the wire."""
    coded = cv2.imencode(".jpg", cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    return cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2YUV_I420).astype(int)


class Gated(MirrorAdapter):
    """The mirror, which waits at every chunk until it is let; counts what it heard and what was reset."""

    def __init__(self) -> None:
        self.let = threading.Semaphore(0)
        self.waiting = threading.Semaphore(0)
        self.heard = 0
        self.resets = 0

    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        if features is not None:
            self.heard += 1
            self.waiting.release()
            assert self.let.acquire(timeout=60)
        return super().infer(features, stream)

    def reset(self, stream: Any) -> None:
        self.resets += 1


def test_after_an_interruption_the_next_turn_is_whole(serve: Serve, connect: Connect) -> None:
    model = Gated()
    driver = connect(serve(model))
    for slot in tones([300] * 20):
        driver.hear(slot)
    assert model.waiting.acquire(timeout=60)
    driver.adapter.reset(driver.stream)
    model.let.release(60)
    hertz = pitches(10)
    assert shows(pictures(driver, hertz), hertz)
    assert model.resets == 1


async def test_what_was_interrupted_is_answered_with_nothing_and_not_drawn(serve: Serve) -> None:
    model = Gated()
    async with Original(serve(model)) as client:
        await client.open(INIT_WITH_OURS)
        for _ in range(3):
            await client.socket.send_bytes(wire.encode_sound(tones(pitches(8)).ravel()))
        await asyncio.to_thread(model.waiting.acquire, timeout=60)
        await client.socket.send_str('{"type":"reset"}')
        await client.socket.send_str('{"type":"config_update","config":{}}')
        assert await client.socket.receive_json(timeout=60) == {"type": "config_ok"}  # so the reset has been read
        model.let.release(100)
        for _ in range(3):
            assert await client.socket.receive_bytes(timeout=60) == b"VIDX\0\0\0\0"
        assert shows(await client.ask(tones(pitches(2))), pitches(2))
        assert (model.heard, model.resets) == (1 + 2, 1)


def test_several_messages_are_on_their_way_at_once(serve: Serve, connect: Connect) -> None:
    model = Gated()
    driver = connect(serve(model, synth_pipeline=3, synth_slice_len=2))
    model.let.release(2)
    driver.speak(tones(pitches(2)), ends=False)
    taken = 0
    while driver.adapter.can_take(driver.stream):
        driver.hear(tones([600])[0])
        taken += 1
    assert taken == 9  # three messages of two slots on their way, one being filled, and one slot
    model.let.release(100)


def test_a_picture_without_a_face_is_refused_in_words(
    serve: Serve, connect: Connect, portrait: PortraitAdapter
) -> None:
    grey = bytes(cv2.imencode(".png", np.full((512, 512, 3), 128, np.uint8))[1].tobytes())
    driver = connect(serve(portrait))
    refused = _refused_opening(driver, grey)
    assert "refused: reference.png: no face found; use a frontal portrait" in refused


def _refused_opening(driver: LateDriver, image: bytes) -> str:
    avatar = driver.stream.avatar
    avatar.opening = Opening(ref_image=image, width=512, height=512)
    other = LateDriver(driver.adapter, avatar)
    try:
        with pytest.raises(ModelError) as caught:
            other.speak(tones(pitches(1)))
    finally:
        other.close()
    return str(caught.value)


def test_a_full_server_says_so_and_has_room_when_somebody_goes(serve: Serve, connect: Connect) -> None:
    server = serve(MirrorAdapter(), synth_max_sessions=1)
    first = connect(server)
    first.speak(tones(pitches(1)))
    with pytest.raises(ModelError, match="refused: this server is full: it serves 1 sessions"):
        connect(server).speak(tones(pitches(1)))
    first.close()
    third = connect(server)
    while True:
        try:
            assert len(third.speak(tones(pitches(3)))) == 3
            break
        except ModelError as error:
            assert "full" in str(error)
            third.adapter.reset(third.stream)


def test_a_model_that_fails_is_told_without_its_insides(serve: Serve, connect: Connect) -> None:
    class Broken(MirrorAdapter):
        def infer(self, features: Any, stream: Any) -> list[tuple[int, int, int]]:
            raise RuntimeError("/srv/weights/secret.pt: CUDA error")

    with pytest.raises(ModelError, match=r"refused: the model failed on this machine; its log says why$"):
        connect(serve(Broken())).speak(tones(pitches(1)))


def test_a_token_is_asked_of_everybody(serve: Serve, connect: Connect) -> None:
    server = serve(MirrorAdapter(), synth_token="sesame")
    known = connect(server, omnirt_api_key="sesame")
    known.adapter.load_model("cpu")
    assert len(known.speak(tones(pitches(2)))) == 2
    for key in ("", "open"):
        stranger = connect(server, omnirt_api_key=key)
        with pytest.raises(ModelError, match="refuses our key"):
            stranger.adapter.load_model("cpu")
        with pytest.raises(ModelError, match="answered HTTP 401"):
            stranger.speak(tones(pitches(1)))


# ---- clients of the original, by their bytes


class Original:
    """A client that knows nothing of ours."""

    def __init__(self, server: SynthThread, model: str = "flashtalk") -> None:
        self._url = f"ws://{server.address}/v1/audio2video/{model}"

    async def __aenter__(self) -> Original:
        self._client = aiohttp.ClientSession()
        self.socket = await self._client.ws_connect(self._url, max_msg_size=50_000_000)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._client.close()

    async def open(self, text: str = INIT) -> dict[str, Any]:
        await self.socket.send_str(text)
        answer: dict[str, Any] = await self.socket.receive_json(timeout=60)
        return answer

    async def ask(self, pcm: Any) -> list[UInt8]:
        await self.socket.send_bytes(b"AUDI" + pcm.astype("<i2").tobytes())
        answer = await self.socket.receive_bytes(timeout=60)
        assert answer[:4] == b"VIDX"
        (count,) = struct.unpack_from("<I", answer, 4)
        at, found = 8, []
        for _ in range(count):
            (length,) = struct.unpack_from("<I", answer, at)
            coded = np.frombuffer(answer[at + 4 : at + 4 + length], np.uint8)
            found.append(cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2YUV_I420))
            at += 4 + length
        assert at == len(answer)
        return found


class Painter(MirrorAdapter):
    """Says of itself that it paints the mouth alone."""

    model_type = "wav2lip"


@pytest.mark.parametrize(("adapter", "more"), [(MirrorAdapter, []), (Painter, ["still"])])
async def test_only_what_draws_the_mouth_alone_promises_to_leave_the_rest(
    serve: Serve, adapter: type[MirrorAdapter], more: list[str]
) -> None:
    async with Original(serve(adapter())) as client:
        assert (await client.open(INIT_WITH_OURS))["extensions"] == ["partial", "reset", *more]


async def test_a_client_of_the_original_gets_what_it_expects(serve: Serve) -> None:
    async with Original(serve(MirrorAdapter(), synth_slice_len=28)) as client:
        told = await client.open()
        expected = {"slice_len": 28, "fps": 25, "width": 512, "height": 512, "chunk_samples": 17_920}
        assert told.items() >= {"type": "init_ok", **expected, "extensions": []}.items()
        for first in (0, 28):
            hertz = pitches(28, first)
            assert shows(await client.ask(tones(hertz)), hertz)
        await client.socket.send_str('{"type":"config_update","config":{}}')
        assert await client.socket.receive_json() == {"type": "config_ok"}
        await client.socket.send_str('{"type":"close"}')
        assert await client.socket.receive_json() == {"type": "close_ok"}
        assert (await client.socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_flashheads_client_gets_its_own_words(serve: Serve) -> None:
    config = {"width": 512, "height": 512, "fps": 25, "slice_len": 4}
    image = json.loads(INIT)["ref_image"]
    create = {"type": "session.create", "model": "x", "inputs": {"image_b64": image, "prompt": ""}, "config": config}
    async with Original(serve(MirrorAdapter()), "flashhead") as client:
        told = await client.open(json.dumps(create))
        assert told["type"] == "session.created" and told["session_id"]
        assert told["audio"] == {"sample_rate": 16_000, "chunk_samples": 2560}
        assert told["video"].items() >= {"fps": 25, "width": 512, "height": 512}.items()
        assert shows(await client.ask(tones(pitches(4))), pitches(4))


async def test_what_a_model_withholds_is_made_up_for_at_the_beginning(serve: Serve, portrait: PortraitAdapter) -> None:
    async with Original(serve(portrait)) as client:
        await client.open()
        sound = np.zeros((8, 640), np.int16)
        assert [len(await client.ask(sound)) for _ in range(3)] == [8, 8, 8]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("hello", "not a JSON message"),
        ('{"type":"init","ref_image":"AAAA"}', "the reference picture is neither PNG nor JPEG"),
        (b"AUDI\0\0", "the first message is the opening, as JSON"),
    ],
)
async def test_a_bad_opening_is_refused_in_words(serve: Serve, said: str | bytes, complaint: str) -> None:
    async with Original(serve(MirrorAdapter())) as client:
        await (client.socket.send_str(said) if isinstance(said, str) else client.socket.send_bytes(said))
        told = await client.socket.receive_json(timeout=60)
        assert told["type"] == "error" and complaint in told["message"]
        assert (await client.socket.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (b"AUDI" + bytes(1280), "640 samples; every message has 5120"),
        (b"RIFF", "sound begins with AUDI, not b'RIFF'"),
        ('{"type":"end"}', "end was not agreed on in the opening"),
        ('{"type":"dance"}', "a message of type 'dance' is not known here"),
    ],
)
async def test_a_bad_message_is_refused_in_words(serve: Serve, said: str | bytes, complaint: str) -> None:
    async with Original(serve(MirrorAdapter())) as client:
        await client.open()
        await (client.socket.send_str(said) if isinstance(said, str) else client.socket.send_bytes(said))
        told = await client.socket.receive_json(timeout=60)
        assert told == {"type": "error", "message": complaint}


async def test_whoever_says_nothing_is_let_go(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.synth.session.OPENING_S", 0.05)
    async with Original(serve(MirrorAdapter())) as client:
        told = await client.socket.receive_json(timeout=60)
        assert told == {"type": "error", "message": "no opening within 0.05 s"}


async def test_whoever_sends_without_waiting_is_stopped(serve: Serve) -> None:
    model = Gated()
    async with Original(serve(model, synth_pipeline=2)) as client:
        await client.open()
        for _ in range(3):
            await client.socket.send_bytes(b"AUDI" + bytes(10_240))
        told = await client.socket.receive_json(timeout=60)
        assert told["message"] == "more than 2 sound messages at once; wait for pictures"
        model.let.release(100)


async def test_a_server_that_stops_answers_what_was_asked_and_closes(serve: Serve) -> None:
    model = Gated()
    server = serve(model)
    async with Original(server) as client:
        await client.open()
        await client.socket.send_bytes(b"AUDI" + tones(pitches(8)).tobytes())
        await asyncio.to_thread(model.waiting.acquire, timeout=60)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        model.let.release(100)
        assert (await client.socket.receive_bytes(timeout=60))[:8] == b"VIDX\x08\0\0\0"
        closing = await client.socket.receive(timeout=60)
        assert closing.data == aiohttp.WSCloseCode.GOING_AWAY
        await client.socket.close()
        await asyncio.to_thread(stopping.join, 60)


async def test_models_are_listed_with_room(serve: Serve) -> None:
    server = serve(MirrorAdapter(), synth_names="wav2lip, musetalk", synth_max_sessions=3)
    async with aiohttp.ClientSession() as client, client.get(f"{server.base}/v1/audio2video/models") as answer:
        told = await answer.json()
    assert told["models"] == ["wav2lip", "musetalk"]
    assert told["statuses"][0] == {
        "id": "wav2lip",
        "backend": "local",
        "connected": True,
        "reason": "local_runtime",
    }
    assert (told["sessions"], told["max_sessions"]) == (0, 3)

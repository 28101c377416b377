"""The remote adapter against a server that speaks the original protocol to the letter: one request, one answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.models.adapter import LateAdapter, ModelError
from opentalking.models.registry import create_adapter
from opentalking.models.remote.adapter import RemoteAdapter
from opentalking.models.remote.stream import FADE_FRAMES
from opentalking.types import AudioChunk, i420_shape
from tests.support.late import LateDriver, pitches, tones
from tests.support.node import free_port
from tests.support.strict_server import KEY, StrictServer
from tests.unit.models.remote.conftest import SIDE, heard_in, shows

Drivers = Callable[..., LateDriver]


def test_every_remote_model_is_a_late_adapter_that_declares_its_chunks() -> None:
    declared = {}
    for name in ("flashtalk", "flashhead", "musetalk", "wav2lip"):
        adapter = create_adapter(name, Settings(wav2lip_backend="omnirt"))
        assert isinstance(adapter, LateAdapter)
        declared[name] = (adapter.model_type, adapter.chunk_ms, adapter.lookahead_ms)
    assert declared == {
        "flashtalk": ("flashtalk", 1120, 0),
        "flashhead": ("flashhead", 1120, 0),
        "musetalk": ("musetalk", 1000, 0),
        "wav2lip": ("wav2lip", 40, 920),  # messages of 933 ms, which are not whole slots
    }


@pytest.mark.parametrize("slots", [1, 7, 8, 9, 40])
def test_a_turn_of_any_length_gets_a_picture_for_each_slot_of_its_own_sound(
    server: StrictServer, drivers: Drivers, slots: int
) -> None:
    driver = drivers(server)
    for first in (0, 3):  # and so does the next one
        driver.adapter.reset(driver.stream)
        hertz = pitches(slots, first)
        assert shows(driver.speak(tones(hertz)), hertz)
    assert set(server.heard) == {5120}
    assert server.too_early == 0 and server.connections == 1


@pytest.mark.parametrize(("slices", "fps"), [(28, 30), (28, 25), (12, 12)])
def test_at_other_rates_there_is_still_one_picture_a_slot(drivers: Drivers, slices: int, fps: int) -> None:
    server = StrictServer(slices, fps)
    server.start()
    try:
        assert len(drivers(server).speak(tones(pitches(70)))) == 70
    finally:
        server.stop()


def test_what_it_declares_is_what_the_server_told(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server)
    driver.speak(tones(pitches(8)))
    assert (driver.adapter.chunk_ms, driver.adapter.lookahead_ms) == (320, 0)


def test_flashhead_is_spoken_to_in_its_dialect_and_its_metrics_are_passed_over(bundle: Path) -> None:
    server = StrictServer(flashhead=True)
    server.start()
    adapter = RemoteAdapter(
        "flashhead", "direct_ws", Settings(flashhead_ws_url=f"ws://{server.address}/v1/audio2video/flashhead")
    )
    adapter.load_model("cpu")
    driver = LateDriver(adapter, adapter.load_avatar(bundle))
    try:
        hertz = pitches(20)
        assert shows(driver.speak(tones(hertz)), hertz)
        assert server.openings[0]["type"] == "session.create"
        assert server.openings[0]["model"] == "soulx-flashhead-1.3b"
    finally:
        driver.close()
        server.stop()


def test_the_opening_has_the_picture_itself_and_no_path(server: StrictServer, drivers: Drivers, bundle: Path) -> None:
    drivers(server, omnirt_api_key=KEY).speak(tones(pitches(1)))
    said = json.dumps(server.openings[0])
    assert server.openings[0]["width"] == SIDE and server.openings[0]["seed"] == 9999
    assert server.openings[0]["metadata"] == {"face_box": [0, 0, 1, 1]}
    assert str(bundle) not in said and "secret" not in said and KEY not in said


def test_what_was_interrupted_is_answered_and_thrown_away_on_the_same_connection(
    server: StrictServer, drivers: Drivers
) -> None:
    driver = drivers(server)
    server.answering.clear()
    for slot in tones([300] * 12):
        driver.hear(slot)
    assert server.has_heard.wait(30)
    driver.adapter.reset(driver.stream)
    server.answering.set()
    hertz = pitches(10)
    assert shows(driver.speak(tones(hertz)), hertz)
    assert server.heard == [5120] * 3 and server.connections == 1 and server.too_early == 0


def test_what_is_owed_is_bounded(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server)
    driver.speak(tones(pitches(8)))
    server.answering.clear()
    taken = 0
    while driver.adapter.can_take(driver.stream):
        driver.hear(tones([300])[0])
        taken += 1
    assert taken == 17  # one message on its way, one being filled
    server.answering.set()
    driver.until_arrived()
    driver.adapter.collect(driver.stream)
    assert driver.adapter.can_take(driver.stream)


@pytest.mark.parametrize(
    ("failure", "complaint"),
    [
        ("error", "refused: CUDA out of memory"),
        ("malformed", "picture 7 of 8 is cut off"),
        ("not_a_jpeg", "a picture of 13 bytes is not a JPEG that can be read"),
        ("no_picture", "an answer without a picture"),
        ("oversize", "the server sent more than 50 MB at once"),
        ("drop", "the connection broke"),
        ("mute", "no pictures within 1.5 s"),
    ],
)
def test_a_turn_that_cannot_be_drawn_is_lost_once_and_the_next_one_is_whole(
    server: StrictServer, drivers: Drivers, failure: str, complaint: str
) -> None:
    driver = drivers(server, remote_reply_timeout_s=1.5)
    driver.speak(tones(pitches(8)))
    driver.adapter.reset(driver.stream)
    server.failure = failure  # type: ignore[assignment]
    with pytest.raises(ModelError, match=complaint) as caught:
        driver.speak(tones(pitches(12)))
    assert caught.value.reason == "omnirt_unavailable"
    assert not driver.adapter.arrived(driver.stream)
    driver.adapter.reset(driver.stream)
    hertz = pitches(9)
    assert shows(driver.speak(tones(hertz)), hertz)
    assert server.connections == 2


def test_a_reset_forgets_the_news_of_a_lost_turn_too(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server)
    server.failure = "error"
    for slot in tones(pitches(9)):
        driver.hear(slot)
    driver.end()
    driver.until_arrived()
    driver.adapter.reset(driver.stream)
    assert not driver.adapter.arrived(driver.stream)
    assert len(driver.speak(tones(pitches(9)))) == 9


def test_a_connection_that_breaks_between_turns_costs_nothing(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server)
    for _ in range(2):
        assert server.arrived.acquire(timeout=60)  # also the second time, without a word said
        assert len(driver.speak(tones(pitches(9)))) == 9
        driver.adapter.reset(driver.stream)
        server.cut()
    assert server.arrived.acquire(timeout=60)


def test_pictures_that_came_before_the_turn_was_lost_are_shown(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server)
    hertz = pitches(20)
    shown = driver.speak(tones(hertz), ends=False, enough=8)
    server.failure = "drop"
    with pytest.raises(ModelError):
        shown += driver.speak(tones(hertz), ends=False)
    assert len(shown) % 8 == 0 and shows(shown[:8], hertz[:8])


def test_a_refused_opening_is_told_in_the_servers_words(server: StrictServer, drivers: Drivers) -> None:
    server.refuse = "no face found"
    driver = drivers(server)
    with pytest.raises(ModelError, match=r"/v1/audio2video/wav2lip refused: no face found"):
        driver.speak(tones(pitches(3)))


def test_a_key_that_is_wrong_is_not_told(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server, omnirt_api_key="hunter2")
    with pytest.raises(ModelError, match="answered HTTP 401; is the key right") as caught:
        driver.speak(tones(pitches(3)))
    assert "hunter2" not in str(caught.value)


def test_speech_is_faded_in_from_the_idle_picture_and_out_again(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server)
    adapter, avatar = driver.adapter, driver.stream.avatar
    predictions = driver.speak(tones([300] * 20))
    out = np.empty(i420_shape(SIDE, SIDE), np.uint8)
    idle = np.empty_like(out)
    adapter.idle_frame(avatar, 0, idle)
    strength = []
    for prediction in predictions:
        adapter.compose_frame(driver.stream, 0, prediction, out)
        whole = float(np.abs(prediction.picture.astype(int) - idle).mean())
        strength.append(float(np.abs(out.astype(int) - idle).mean()) / whole)
    rising = [step / (FADE_FRAMES + 1) for step in range(1, FADE_FRAMES + 1)]
    assert strength == pytest.approx([*rising, *[1.0] * 14, *rising[::-1]], abs=0.02)


LEVELS = (40, 90, 140, 190)


def write_clip(bundle: Path) -> None:
    clip = cv2.VideoWriter(str(bundle / "idle.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 25, (SIDE, SIDE))
    for level in LEVELS:
        clip.write(np.full((SIDE, SIDE, 3), level, np.uint8))
    clip.release()


def write_frames(bundle: Path) -> None:
    (bundle / "frames").mkdir()
    for number, level in enumerate(LEVELS):
        cv2.imwrite(str(bundle / f"frames/frame_{number:05}.jpg"), np.full((SIDE, SIDE, 3), level, np.uint8))


def idle_levels(bundle: Path) -> list[int]:
    """Luma of the idle loop, its first picture again at the end."""
    adapter = RemoteAdapter("wav2lip", "omnirt", Settings(omnirt_endpoint="http://nowhere:1"))
    out, avatar = np.empty(i420_shape(SIDE, SIDE), np.uint8), adapter.load_avatar(bundle)
    levels = []
    for pose in range(avatar.idle_frames + 1):
        adapter.idle_frame(avatar, pose, out)
        levels.append(int(out[:SIDE].mean()))
    return levels


def test_a_bundle_without_an_idle_clip_stands_still(bundle: Path) -> None:
    assert len(idle_levels(bundle)) == 51 and len(set(idle_levels(bundle))) == 1


@pytest.mark.parametrize("write", [write_clip, write_frames])
def test_an_idle_clip_or_frames_go_there_and_back(bundle: Path, write: Callable[[Path], None]) -> None:
    write(bundle)
    levels = idle_levels(bundle)
    assert len(levels) == 7 and levels == levels[::-1] and levels[0] < levels[1] < levels[2] < levels[3]


@pytest.mark.parametrize(
    ("samples", "rate", "complaint"), [(640, 8000, "hears 16000 Hz, not 8000"), (100, 16_000, "640 samples, not 100")]
)
def test_a_chunk_that_is_none_is_refused(samples: int, rate: int, complaint: str) -> None:
    adapter = RemoteAdapter("wav2lip", "omnirt", Settings())
    with pytest.raises(ValueError, match=complaint):
        adapter.extract_features(AudioChunk(np.zeros(samples, np.int16), rate), None)  # type: ignore[arg-type]


def test_a_server_that_comes_up_later_is_found(bundle: Path) -> None:
    port = free_port()
    adapter = RemoteAdapter("wav2lip", "omnirt", Settings(omnirt_endpoint=f"http://127.0.0.1:{port}"))
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        adapter.load_model("cpu")
    assert caught.value.reason == "omnirt_unavailable"
    driver = LateDriver(adapter, adapter.load_avatar(bundle))
    with pytest.raises(ModelError, match="cannot be reached"):
        driver.speak(tones(pitches(3)))
    driver.adapter.reset(driver.stream)
    server = StrictServer()
    server.port = port
    server.start()
    try:
        adapter.load_model("cpu")
        assert len(driver.speak(tones(pitches(3)))) == 3
    finally:
        driver.close()
        server.stop()


def test_closing_says_goodbye(server: StrictServer, drivers: Drivers) -> None:
    driver = drivers(server)
    driver.speak(tones(pitches(3)))
    driver.close()
    assert server.gone.acquire(timeout=30)
    assert server.closings == ["close"]


def test_silence_is_shown_too(server: StrictServer, drivers: Drivers) -> None:
    assert heard_in(drivers(server).speak(np.zeros((9, 640), np.int16))) == [None] * 9

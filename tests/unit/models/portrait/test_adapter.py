"""What is seen: measured on the frames themselves, with the landmarks of the face that was drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars import AvatarError
from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import FaceFinder, mouth_opening
from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter, ModelError
from opentalking.models.portrait.adapter import PortraitAdapter, PortraitAvatar
from opentalking.models.portrait.motion import blink_level
from opentalking.models.portrait.visemes import PARAMETERS, VISEMES, mouth_of
from opentalking.models.registry import create_adapter
from opentalking.types import MODEL_RATE, AudioChunk, Float32, UInt8, i420_shape
from tests.unit.models.portrait.speech import speak

REST = np.zeros(len(PARAMETERS), np.float32)
SENTENCE = "My father bought a big boat. Wow!"


def predictions(adapter: PortraitAdapter, avatar: PortraitAvatar, chunks: Iterable[AudioChunk]) -> list[Float32]:
    stream = adapter.open_stream(avatar)
    found: list[Float32] = []
    for chunk in [*chunks, None]:
        found += adapter.infer(adapter.extract_features(chunk, stream), stream)
    return found


def openings(adapter: PortraitAdapter, avatar: PortraitAvatar, mouths: list[Float32]) -> Float32:
    """Measured lip opening of each frame, in eye distances."""
    finder, stream = FaceFinder(), adapter.open_stream(avatar)
    out = np.zeros(i420_shape(avatar.width, avatar.height), np.uint8)
    box, measured = None, []
    for pose, mouth in enumerate(mouths):
        adapter.compose_frame(stream, pose, mouth, out)
        bgr = np.asarray(cv2.cvtColor(out, cv2.COLOR_YUV2BGR_I420), np.uint8)
        box = box or finder.detect(bgr)
        assert box is not None
        measured.append(mouth_opening(finder.landmarks(bgr, box)))
    return np.array(measured, np.float32)


def test_the_registry_knows_it_and_it_is_a_model_adapter() -> None:
    created = create_adapter("portrait", Settings())
    assert isinstance(created, PortraitAdapter)
    assert isinstance(created, ModelAdapter)
    assert (created.chunk_ms, created.lookahead_ms) == (40, 120)


def test_one_prediction_a_chunk_in_every_turn_of_a_stream(adapter: PortraitAdapter, presenter: PortraitAvatar) -> None:
    stream = adapter.open_stream(presenter)
    turns = []
    for _ in range(2):
        mouths = []
        for chunk in [*speak(SENTENCE).chunks(), None]:
            mouths += adapter.infer(adapter.extract_features(chunk, stream), stream)
        turns.append(np.array(mouths))
    assert len(turns[0]) == len(speak(SENTENCE).chunks())
    np.testing.assert_array_equal(turns[0], turns[1])


def test_a_reset_forgets_the_turn(adapter: PortraitAdapter, presenter: PortraitAvatar) -> None:
    stream = adapter.open_stream(presenter)
    chunks = speak(SENTENCE).chunks()
    for chunk in chunks[:7]:
        adapter.infer(adapter.extract_features(chunk, stream), stream)
    adapter.reset(stream)
    mouths = []
    for chunk in [*chunks, None]:
        mouths += adapter.infer(adapter.extract_features(chunk, stream), stream)
    np.testing.assert_array_equal(mouths, predictions(adapter, presenter, chunks))


def test_two_streams_of_one_avatar_do_not_touch_each_other(adapter: PortraitAdapter, presenter: PortraitAvatar) -> None:
    words = (SENTENCE, "Two blue moons, who knew?")
    apart = [predictions(adapter, presenter, speak(text).chunks()) for text in words]
    streams = [adapter.open_stream(presenter) for _ in words]
    mixed: list[list[Float32]] = [[], []]
    longest = max(len(speak(text).chunks()) for text in words)
    for step in range(longest + 1):
        for index, text in enumerate(words):
            chunks = [*speak(text).chunks(), None]
            if step < len(chunks):
                features = adapter.extract_features(chunks[step], streams[index])
                mixed[index] += adapter.infer(features, streams[index])
    frames = [np.zeros(i420_shape(512, 512), np.uint8) for _ in range(3)]
    for index in range(2):
        np.testing.assert_array_equal(mixed[index], apart[index])
    adapter.compose_frame(streams[0], 10, mouth_of("aa"), frames[0])
    adapter.compose_frame(streams[1], 60, mouth_of("O"), frames[1])
    adapter.compose_frame(streams[0], 10, mouth_of("aa"), frames[2])
    np.testing.assert_array_equal(frames[0], frames[2])


@pytest.mark.parametrize("pose", [0, 32, 99, 173, 199])
def test_a_mouth_at_rest_and_the_idle_loop_are_the_same_picture(
    adapter: PortraitAdapter, presenter: PortraitAvatar, drawn: PortraitAvatar, pose: int
) -> None:
    for avatar in (presenter, drawn):
        spoken, idle = (np.zeros(i420_shape(avatar.width, avatar.height), np.uint8) for _ in range(2))
        adapter.compose_frame(adapter.open_stream(avatar), pose, REST, spoken)
        adapter.idle_frame(avatar, pose, idle)
        np.testing.assert_array_equal(spoken, idle)


@pytest.mark.parametrize("name", ["presenter", "drawn"])
def test_a_mouth_pasted_onto_the_idle_loop_is_the_same_picture_as_a_face_drawn_whole(
    adapter: PortraitAdapter, name: str
) -> None:
    whole, pasted = (adapter.load_avatar(PACKAGED / name) for _ in range(2))
    shape = i420_shape(whole.width, whole.height)
    clip = np.empty((whole.idle_frames, *shape), np.uint8)
    for pose in range(whole.idle_frames):
        adapter.idle_frame(pasted, pose, clip[pose])
    adapter.use_idle_clip(pasted, clip)
    expected, actual = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
    for pose in range(0, whole.idle_frames, 7):
        for viseme in VISEMES:
            adapter.compose_frame(adapter.open_stream(whole), pose, mouth_of(viseme), expected)
            adapter.compose_frame(adapter.open_stream(pasted), pose, mouth_of(viseme), actual)
            assert np.array_equal(actual, expected), (pose, viseme)


def test_an_idle_clip_of_another_avatar_is_refused(adapter: PortraitAdapter, presenter: PortraitAvatar) -> None:
    with pytest.raises(ValueError, match="is not 200 frames of"):
        adapter.use_idle_clip(presenter, np.zeros((3, *presenter.rest.shape), np.uint8))


def test_a_mouth_almost_at_rest_is_almost_the_idle_picture(
    adapter: PortraitAdapter, presenter: PortraitAvatar, frame: UInt8
) -> None:
    idle = np.zeros_like(frame)
    adapter.compose_frame(adapter.open_stream(presenter), 5, mouth_of("aa") * np.float32(0.004), frame)
    adapter.idle_frame(presenter, 5, idle)
    assert np.abs(frame.astype(int) - idle).max() <= 12
    assert np.abs(frame.astype(int) - idle).mean() < 0.05


def idle_loop(adapter: PortraitAdapter, avatar: PortraitAvatar) -> UInt8:
    frames = np.zeros((avatar.idle_frames, *i420_shape(avatar.width, avatar.height)), np.uint8)
    for pose in range(avatar.idle_frames):
        adapter.idle_frame(avatar, pose, frames[pose])
    return frames


def test_the_idle_loop_has_no_seam_moves_and_leaves_the_background_alone(
    adapter: PortraitAdapter, presenter: PortraitAvatar
) -> None:
    frames = idle_loop(adapter, presenter)
    eyes_open = [pose for pose in range(200) if blink_level(pose) is None and blink_level((pose + 1) % 200) is None]
    steps = {p: float(np.abs(frames[p].astype(np.int16) - frames[(p + 1) % 200]).mean()) for p in eyes_open}
    assert 199 in steps
    assert steps[199] <= 1.2 * max(steps[198], steps[0])
    assert min(steps.values()) > 0.01
    height = presenter.height
    still = frames[:, :height] == presenter.rest[:height]
    assert still[:, :, :8].all() and still[:, :, -8:].all(), "side edges move"
    assert still[:, -8:].all(), "lower edge moves"
    assert still.all(0).mean() > 0.3


def test_speech_moves_nothing_but_the_face(adapter: PortraitAdapter, presenter: PortraitAvatar, frame: UInt8) -> None:
    idle = np.zeros_like(frame)
    adapter.idle_frame(presenter, 40, idle)
    adapter.compose_frame(adapter.open_stream(presenter), 40, mouth_of("aa"), frame)
    rows, columns = np.nonzero(frame[:512] != idle[:512])
    x0, y0, x1, y1 = presenter.rig.roi
    margin = 16  # how far the head of this pose carries the mouth
    assert rows.min() > y0 - margin and rows.max() < y1 + margin
    assert columns.min() > x0 - margin and columns.max() < x1 + margin


def test_over_an_idle_clip_only_the_mouths_surroundings_are_written(
    adapter: PortraitAdapter, frame: UInt8, presenter: PortraitAvatar
) -> None:
    """The clip is noise here: whatever was drawn anew is not."""
    avatar = adapter.load_avatar(PACKAGED / "presenter")
    noise = np.random.default_rng(5).integers(0, 255, frame.shape, np.uint8)
    adapter.use_idle_clip(avatar, np.broadcast_to(noise, (avatar.idle_frames, *noise.shape)))
    x0, y0, x1, y1 = presenter.rig.roi
    for pose in (0, 32, 140):
        adapter.compose_frame(adapter.open_stream(avatar), pose, mouth_of("aa"), frame)
        rows, columns = np.nonzero(frame[:512] != noise[:512])
        margin = 24  # the furthest that a head carries its mouth, on whole nodes
        assert rows.min() > y0 - margin and rows.max() < y1 + margin
        assert columns.min() > x0 - margin and columns.max() < x1 + margin
        assert (frame != noise).mean() < 0.5


def test_vowels_are_seen_to_open_the_lips_and_bilabials_to_close_them(
    adapter: PortraitAdapter, presenter: PortraitAvatar, drawn: PortraitAvatar
) -> None:
    for avatar in (presenter, drawn):
        measured = dict(zip(VISEMES, openings(adapter, avatar, [mouth_of(v) for v in VISEMES]), strict=True))
        assert measured["aa"] > measured["E"] > measured["I"] > measured["sil"] + 0.03
        assert measured["O"] > measured["U"] > measured["sil"] + 0.02
        assert measured["PP"] < measured["sil"] + 0.01
        assert measured["FF"] < measured["sil"] + 0.02


def test_speech_is_seen_on_the_lips_and_silence_is_not(adapter: PortraitAdapter, presenter: PortraitAvatar) -> None:
    pause = [AudioChunk(np.zeros(640, np.int16), MODEL_RATE)] * 6
    spoken = speak(SENTENCE).chunks()
    measured = openings(adapter, presenter, predictions(adapter, presenter, [*pause, *spoken, *pause]))
    closed = measured[:3].mean()
    assert np.percentile(measured[6:-6], 90) > closed + 0.10
    assert measured[-3:].max() < closed + 0.01
    loudness = np.array([np.log(1 + np.abs(c.data.astype(float)).mean()) for c in [*pause, *spoken, *pause]])
    assert np.corrcoef(measured, loudness)[0, 1] > 0.3
    assert abs(np.corrcoef(np.roll(measured, len(measured) // 2), loudness)[0, 1]) < 0.3


def test_a_frame_is_written_in_place_into_a_view_of_shared_memory(
    adapter: PortraitAdapter, presenter: PortraitAvatar, frame: UInt8
) -> None:
    memory = bytearray(100 + frame.size)
    view = np.frombuffer(memory, np.uint8, frame.size, 100).reshape(frame.shape)
    adapter.idle_frame(presenter, 17, view)
    adapter.idle_frame(presenter, 17, frame)
    assert bytes(memory[100:]) == frame.tobytes()
    assert not any(memory[:100])


def test_an_avatar_of_another_size_is_cut_to_its_manifest(adapter: PortraitAdapter, tmp_path: Path) -> None:
    path = copied_bundle(tmp_path, '"width": 512', '"width": 402', '"height": 512', '"height": 450')
    avatar = adapter.load_avatar(path)
    out = np.zeros(i420_shape(402, 450), np.uint8)
    adapter.warmup(avatar)
    adapter.compose_frame(adapter.open_stream(avatar), 3, mouth_of("aa"), out)
    box = FaceFinder().detect(np.asarray(cv2.cvtColor(out, cv2.COLOR_YUV2BGR_I420), np.uint8))
    assert box is not None and abs(box.centre[0] - 201) < 12


def copied_bundle(folder: Path, *replacements: str) -> Path:
    path = folder / "presenter"
    shutil.copytree(PACKAGED / "presenter", path)
    manifest = (path / "manifest.json").read_text()
    for old, new in zip(replacements[::2], replacements[1::2], strict=True):
        assert old in manifest
        manifest = manifest.replace(old, new)
    (path / "manifest.json").write_text(manifest)
    return path


def test_what_cannot_be_drawn_is_refused_in_words(adapter: PortraitAdapter, tmp_path: Path) -> None:
    path = copied_bundle(tmp_path, '"fps": 25', '"fps": 30')
    with pytest.raises(AvatarError) as refused:
        adapter.load_avatar(path)
    assert str(refused.value) == ("presenter/manifest.json: fps: this model draws 25 frames a second, not 30")


def test_a_picture_without_a_face_is_refused(adapter: PortraitAdapter, tmp_path: Path) -> None:
    path = copied_bundle(tmp_path)
    cv2.imwrite(str(path / "reference.png"), np.full((512, 512, 3), 127, np.uint8))
    with pytest.raises(AvatarError, match=r"presenter/reference\.png: no face found"):
        adapter.load_avatar(path)
    (path / "reference.png").write_bytes(b"not a picture")
    with pytest.raises(AvatarError, match=r"presenter/reference\.png: not a picture that can be read"):
        adapter.load_avatar(path)


def test_an_adapter_that_was_not_loaded_says_so(presenter: PortraitAvatar) -> None:
    with pytest.raises(ModelError, match="call load_model first"):
        PortraitAdapter().open_stream(presenter)


def test_sound_at_another_rate_is_refused(adapter: PortraitAdapter, presenter: PortraitAvatar) -> None:
    with pytest.raises(ValueError, match="hears 16000 Hz, not 48000"):
        adapter.extract_features(AudioChunk(np.zeros(1920, np.int16), 48_000), adapter.open_stream(presenter))

"""The adapter by its contract, with random weights: the right frames, of the right sound, at the mouth alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from opentalking.avatars import AvatarError
from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.adapter import BatchingAdapter, ModelError
from opentalking.models.registry import create_adapter
from opentalking.models.wav2lip.adapter import Prediction, Wav2LipAdapter, Wav2LipAvatar, Wav2LipStream
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, UInt8, i420_shape
from tests.support.lips import lag_and_correlation
from tests.support.wav2lip_puppet import write_puppet
from tests.unit.models.wav2lip.bundles import clip, copied


def noise(chunks: int, seed: int) -> list[AudioChunk]:
    rng = np.random.default_rng(seed)
    loudness = rng.uniform(100, 9000, (chunks, 1))
    pcm = (rng.standard_normal((chunks, MODEL_SAMPLES)) * loudness).clip(-32768, 32767).astype(np.int16)
    return [AudioChunk(part, MODEL_RATE) for part in pcm]


def spoken(adapter: Wav2LipAdapter, stream: Wav2LipStream, chunks: list[AudioChunk]) -> list[Prediction]:
    """A whole turn, chunk by chunk."""
    found = []
    for chunk in [*chunks, None]:
        found += adapter.infer(adapter.extract_features(chunk, stream), stream)
    return found


def painted(predictions: list[Prediction]) -> NDArray[np.int16]:
    assert all(prediction.painted is not None for prediction in predictions)
    return np.array([prediction.painted for prediction in predictions], np.int16)


def frame(avatar: Wav2LipAvatar) -> UInt8:
    return np.zeros(i420_shape(avatar.width, avatar.height), np.uint8)


def test_the_registry_knows_it_and_it_batches(configured: Settings) -> None:
    created = create_adapter("wav2lip", configured)
    assert isinstance(created, Wav2LipAdapter) and isinstance(created, BatchingAdapter)
    assert (created.chunk_ms, created.lookahead_ms) == (40, 200)


def test_one_frame_a_chunk_and_a_turn_begins_like_the_one_before(
    adapter: Wav2LipAdapter, presenter: Wav2LipAvatar
) -> None:
    stream, chunks = adapter.open_stream(presenter), noise(6, seed=1)
    first, second = (spoken(adapter, stream, chunks) for _ in range(2))
    assert len(first) == len(second) == 6
    np.testing.assert_allclose(painted(first), painted(second), atol=1)


def test_a_reset_forgets_the_turn(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar) -> None:
    stream, chunks = adapter.open_stream(presenter), noise(3, seed=2)
    for chunk in noise(7, seed=3):
        adapter.infer(adapter.extract_features(chunk, stream), stream)
    adapter.reset(stream)
    fresh = spoken(adapter, adapter.open_stream(presenter), chunks)
    np.testing.assert_allclose(painted(spoken(adapter, stream, chunks)), painted(fresh), atol=1)


def test_sessions_together_get_what_each_gets_alone(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar) -> None:
    """Three of them, of two avatars, in passes of four; their last five frames come all at once."""
    drawn = adapter.load_avatar(PACKAGED / "drawn")
    avatars = [presenter, drawn, presenter]
    turns = [noise(6, seed) for seed in range(3)]
    streams = [adapter.open_stream(avatar) for avatar in avatars]
    together: list[list[Prediction]] = [[] for _ in streams]
    for step in range(7):
        work = [
            (adapter.extract_features(chunks[step] if step < 6 else None, stream), stream)
            for stream, chunks in zip(streams, turns, strict=True)
        ]
        for found, predictions in zip(together, adapter.infer_batch(work), strict=True):
            found += predictions
    for avatar, chunks, found in zip(avatars, turns, together, strict=True):
        alone = spoken(adapter, adapter.open_stream(avatar), chunks)
        assert len(found) == len(alone) == 6
        assert np.abs(painted(found) - painted(alone)).max() <= 1


def test_the_picture_follows_the_sound(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar) -> None:
    quiet = [AudioChunk(np.zeros(MODEL_SAMPLES, np.int16), MODEL_RATE)] * 2
    silent = spoken(adapter, adapter.open_stream(presenter), quiet)
    loud = spoken(adapter, adapter.open_stream(presenter), noise(2, seed=4))
    assert np.abs(painted(silent[:1]) - painted(loud[:1])).mean() > 5


def test_a_mouth_that_opens_by_loudness_does_so_in_the_frame_that_sounds(tmp_path: Path) -> None:
    """With weights that are known to mean just that; silence then leaves the face as it was."""
    checkpoint = write_puppet(tmp_path / "wav2lip.pth")
    adapter = Wav2LipAdapter(Settings(wav2lip_checkpoint=str(checkpoint), wav2lip_cpu_threads=1))
    adapter.load_model("cpu")
    checkpoint.unlink()
    avatar = adapter.load_avatar(PACKAGED / "presenter")
    loud = np.array([0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0], np.float32)
    chunks = [
        AudioChunk((part.data * level).astype(np.int16), MODEL_RATE)
        for part, level in zip(noise(18, 3), loud, strict=True)
    ]
    stream, out, idle, opened = adapter.open_stream(avatar), frame(avatar), frame(avatar), []
    adapter.idle_frame(avatar, 0, idle)
    for prediction in spoken(adapter, stream, chunks):
        adapter.compose_frame(stream, 0, prediction, out)
        darker = idle[:512].astype(int) - out[:512]
        opened.append(np.count_nonzero(darker.max(1) > 40))
    lag, correlation = lag_and_correlation(np.array(opened, np.float32), loud, most=3)
    assert lag == 0 and correlation > 0.7
    assert max(opened) > 10 and opened[-1] == 0
    assert np.abs(idle.astype(int) - out).mean() < 0.1


def test_only_the_mouth_of_the_idle_frame_changes(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar) -> None:
    stream, out, idle = adapter.open_stream(presenter), frame(presenter), frame(presenter)
    adapter.idle_frame(presenter, 3, idle)
    for prediction in spoken(adapter, stream, noise(5, seed=5)):
        adapter.compose_frame(stream, 3, prediction, out)
        x0, y0, x1, y1 = presenter.pastes[0].rectangle
        rows, columns = np.nonzero(out[:512] != idle[:512])
        assert len(rows) > 500
        assert y0 <= rows.min() and rows.max() < y1 and x0 <= columns.min() and columns.max() < x1


def test_the_mouth_comes_and_goes_softly(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar) -> None:
    opacities = [prediction.opacity for prediction in spoken(adapter, adapter.open_stream(presenter), noise(8, 6))]
    assert opacities == [0.35, 0.7, 1, 1, 1, 1, 0.7, 0.35]
    short = [prediction.opacity for prediction in spoken(adapter, adapter.open_stream(presenter), noise(3, 6))]
    assert short == [0.35, 0.7, 0.35]


def test_the_idle_clip_takes_the_pictures_place(adapter: Wav2LipAdapter, configured: Settings) -> None:
    avatar = adapter.load_avatar(PACKAGED / "presenter")
    before, after = frame(avatar), frame(avatar)
    loop = np.empty((avatar.idle_frames, *before.shape), np.uint8)
    for pose in range(avatar.idle_frames):
        adapter.idle_frame(avatar, pose, loop[pose])
    stream = adapter.open_stream(avatar)
    (prediction,) = spoken(adapter, stream, noise(1, 7))
    adapter.compose_frame(stream, 49, prediction, before)
    loop.flags.writeable = False
    adapter.use_idle_clip(avatar, loop)
    adapter.compose_frame(stream, 49, prediction, after)
    np.testing.assert_array_equal(before, after)
    assert avatar.pictures is None
    with pytest.raises(ValueError, match="is not 50 frames of this avatar"):
        adapter.use_idle_clip(avatar, loop[:3])


def test_a_clip_plays_there_and_back_and_its_mouth_is_the_poses_own(adapter: Wav2LipAdapter, tmp_path: Path) -> None:
    avatar = adapter.load_avatar(clip(tmp_path, [0, 12, 24]).path)
    assert [avatar.reference(pose) for pose in range(6)] == [0, 1, 2, 1, 0, 1]
    assert avatar.idle_frames >= 50 and avatar.reference(avatar.idle_frames - 1) == 1 and avatar.idle_frames % 4 == 0
    stream, out, idle = adapter.open_stream(avatar), frame(avatar), frame(avatar)
    lefts, passes = [], []
    pose = 41
    for chunk in [*noise(8, 8), None]:
        for prediction in adapter.infer(adapter.extract_features(chunk, stream), stream):
            passes.append(prediction.reference)
            adapter.compose_frame(stream, pose, prediction, out)
            assert prediction.reference == avatar.reference(pose)
            adapter.idle_frame(avatar, pose, idle)
            lefts.append(int(np.nonzero((out[:512] != idle[:512]).any(0))[0].min()))
            pose += 1
    references = [avatar.reference(41 + index) for index in range(8)]
    assert passes == [None, *references[1:]]  # the first one's pose is known only when it is drawn
    np.testing.assert_allclose(np.array(lefts) - min(lefts), np.array(references) * 12, atol=5)


def test_a_frame_shown_at_another_pose_than_foreseen_is_painted_again(adapter: Wav2LipAdapter, tmp_path: Path) -> None:
    avatar = adapter.load_avatar(clip(tmp_path, [0, 12]).path)
    stream, out, again = adapter.open_stream(avatar), frame(avatar), frame(avatar)
    first, *rest = spoken(adapter, stream, noise(2, 9))
    adapter.compose_frame(stream, 0, first, out)
    adapter.compose_frame(stream, 1, first, out)
    assert first.reference == 1
    adapter.compose_frame(stream, 0, first, again)
    assert first.reference == 0 and (out != again).any() and len(rest) == 1


def test_it_warms_up_and_writes_in_place(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar) -> None:
    adapter.warmup(presenter)
    memory = bytearray(64 + frame(presenter).size)
    view = np.frombuffer(memory, np.uint8, offset=64).reshape(frame(presenter).shape)
    adapter.idle_frame(presenter, 0, view)
    assert not any(memory[:64]) and any(memory[64:])


def test_sound_of_another_rate_is_refused(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar) -> None:
    with pytest.raises(ValueError, match="hears 16000 Hz, not 8000"):
        adapter.extract_features(AudioChunk(np.zeros(320, np.int16), 8000), adapter.open_stream(presenter))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"wav2lip_postprocess_mode": "easy_enhanced"}, "easy_enhanced needs GFPGAN, which is not part of this server"),
        ({"wav2lip_pads": "0,10"}, "OPENTALKING_WAV2LIP_PADS=0,10: not four whole numbers of pixels"),
        ({"wav2lip_pads": "0,ten,0,0"}, "OPENTALKING_WAV2LIP_PADS=0,ten,0,0: not four whole numbers of pixels"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(checkpoint: Path, settings: dict[str, str], said: str) -> None:
    adapter = Wav2LipAdapter(Settings(wav2lip_checkpoint=str(checkpoint), **settings))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=said) as refused:
        adapter.load_model("cpu")
    assert refused.value.reason == "not_configured"


def test_a_bundle_may_prefer_a_mask(adapter: Wav2LipAdapter, presenter: Wav2LipAvatar, tmp_path: Path) -> None:
    def rectangle(name: str, mode: str) -> tuple[int, ...]:
        bundle = copied(tmp_path / name, {"preferred_wav2lip_postprocess_mode": mode})
        return adapter.load_avatar(bundle.path).pastes[0].rectangle

    assert rectangle("basic", "basic") != presenter.pastes[0].rectangle
    assert rectangle("enhanced", "easy_enhanced") == presenter.pastes[0].rectangle
    with pytest.raises(AvatarError, match=r"metadata\.preferred_wav2lip_postprocess_mode: 'wax' is not one of"):
        rectangle("wax", "wax")


def test_without_loading_it_says_so() -> None:
    with pytest.raises(ModelError, match="not loaded: call load_model first"):
        Wav2LipAdapter(Settings()).load_avatar(PACKAGED / "presenter")

"""A VITS voice decoded in chunks is the voice decoded whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.config import Settings
from opentalking.tts.adapters.piper import PiperTTS
from opentalking.tts.base import TTSError
from opentalking.tts.piper_voice import find_voice
from opentalking.tts.vits import SCHEDULE, ChunkedVits, Latents, chunk_spans, ensure_split
from opentalking.types import Float32


@given(st.integers(1, 2000))
def test_spans_cover_every_frame_once_and_the_first_is_short(frames: int) -> None:
    spans = list(chunk_spans(frames))
    assert [start for start, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == frames
    assert all(end - start < SCHEDULE[-1] + SCHEDULE[0] for start, end in spans)
    assert spans[0][1] < 2 * SCHEDULE[0]


def test_no_frames_make_no_spans() -> None:
    assert list(chunk_spans(0)) == []


@pytest.fixture(scope="module")
def vits(voice_settings: Settings) -> ChunkedVits:
    return ChunkedVits(find_voice(voice_settings), voice_settings.cache_dir / "voices", threads=1)


@pytest.fixture(scope="module", params=[30, 90])
def latents(request: pytest.FixtureRequest, vits: ChunkedVits, voice_settings: Settings) -> Latents:
    config = json.loads(find_voice(voice_settings).with_suffix(".onnx.json").read_text())
    ids = [config["phoneme_id_map"][phoneme][0] for phoneme in "ðə kwɪk bɹaʊn fɑks dʒʌmps ˌoʊvɚ ðə leɪzi dɑɡ, jɛs."]
    padded = [1, 0, *(i for phoneme in (ids * 2)[: request.param] for i in (phoneme, 0)), 2]
    return vits.align(padded, (0.667, 1.0, 0.8))


@pytest.fixture(scope="module")
def whole(vits: ChunkedVits, latents: Latents) -> Float32:
    return vits.decode(latents, 0, latents.frames)


def test_chunks_joined_equal_the_whole_decode(vits: ChunkedVits, latents: Latents, whole: Float32) -> None:
    joined = np.concatenate([vits.decode(latents, start, end) for start, end in chunk_spans(latents.frames)])
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max() < 1e-3
    assert np.corrcoef(joined, whole)[0, 1] > 0.9999


def test_joins_do_not_click(vits: ChunkedVits, latents: Latents, whole: Float32) -> None:
    spans = list(chunk_spans(latents.frames))
    joined = np.concatenate([vits.decode(latents, start, end) for start, end in spans])
    steps = np.abs(np.diff(joined))
    joins = [end * vits.hop - 1 for _, end in spans[:-1]]
    steps_of_whole = np.abs(np.diff(whole))
    assert joins
    assert np.allclose(steps[joins], steps_of_whole[joins], atol=1e-3)
    assert steps[joins].max() <= steps_of_whole.max() + 1e-3


def test_without_context_the_joins_would_differ(vits: ChunkedVits, latents: Latents, whole: Float32) -> None:
    """The margins are needed, and the test above can see when they are not there."""
    parts = [
        Latents(tuple(tensor[:, :, start:end] for tensor in latents.tensors))
        for start, end in chunk_spans(latents.frames)
    ]
    joined = np.concatenate([vits.decode(part, 0, part.frames) for part in parts])
    assert np.abs(joined - whole).max() > 1e-2


def test_a_voice_is_split_once_and_whole(tmp_path: Path, voice_settings: Settings) -> None:
    voice = tmp_path / "voice.onnx"
    voice.symlink_to(find_voice(voice_settings))
    first = ensure_split(voice, tmp_path / "cache")
    assert sorted(path.name for path in first.iterdir()) == ["decoder.onnx", "front.onnx", "split.json"]
    stamp = (first / "front.onnx").stat().st_mtime_ns
    assert ensure_split(voice, tmp_path / "cache") == first
    assert (first / "front.onnx").stat().st_mtime_ns == stamp
    assert list((tmp_path / "cache").iterdir()) == [first]


def test_a_graph_that_is_no_vits_voice_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    tensor = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [tensor], [other])), tmp_path / "no.onnx")
    with pytest.raises(ValueError, match="not a VITS voice"):
        ensure_split(tmp_path / "no.onnx", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


async def test_a_voice_path_without_a_file_is_named(tmp_path: Path) -> None:
    settings = Settings(tts_voice_path=str(tmp_path / "none.onnx"), run_dir=str(tmp_path))
    assert "OPENTALKING_TTS_VOICE_PATH: there is no file" in (PiperTTS.missing(settings) or "")
    tts = PiperTTS(settings)
    with pytest.raises(TTSError, match="there is no file"):
        await tts.warmup()
    await tts.aclose()

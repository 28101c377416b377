"""The mirror: what a slot sounds of can be read from its picture, also after it was encoded and decoded."""

from __future__ import annotations

import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.models.adapter import ModelAdapter
from opentalking.rtc.video import VideoEncoder
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16, UInt8, i420_shape
from tests.support.mirror import MirrorAdapter, Reading, pitch_distance, reading
from tests.support.tone import CLICK_PITCHES
from tests.unit.rtc.decoding import VideoDecoder


def sound(hertz: int, amplitude: int) -> Int16:
    return np.asarray(amplitude * np.sin(2 * np.pi * hertz / MODEL_RATE * np.arange(MODEL_SAMPLES)), np.int16)


def pictures(slots: list[Int16]) -> list[UInt8]:
    """As the inference process makes them."""
    adapter = MirrorAdapter()
    assert isinstance(adapter, ModelAdapter)
    stream = adapter.open_stream(adapter.load_avatar(PACKAGED / "presenter"))
    drawn = []
    for slot in slots:
        (prediction,) = adapter.infer(adapter.extract_features(AudioChunk(slot, MODEL_RATE), stream), stream)
        drawn.append(np.empty(i420_shape(stream.width, stream.height), np.uint8))
        adapter.compose_frame(stream, 0, prediction, drawn[-1])
    assert adapter.infer(adapter.extract_features(None, stream), stream) == []
    return drawn


def seen(drawn: list[UInt8]) -> list[Reading]:
    """After H.264."""
    encoder, decoder = VideoEncoder("h264", 1_000_000), VideoDecoder("h264")
    return [reading(decoder.decode(encoder.encode(picture)[0])) for picture in drawn]


def test_each_pitch_is_told_by_its_hue_and_silence_by_none() -> None:
    silence = sound(440, 0)
    slots = [slot for hertz in CLICK_PITCHES for slot in (sound(hertz, 16_000), silence)]
    shown = seen(pictures(slots))
    for hertz, loud, silent in zip(CLICK_PITCHES, shown[::2], shown[1::2], strict=True):
        assert loud.hertz is not None and pitch_distance(loud.hertz, hertz) < 75
        assert loud.loudness > 0.9
        assert silent.hertz is None and silent.loudness < 0.1


def test_the_louder_the_brighter() -> None:
    loudness = [shown.loudness for shown in seen(pictures([sound(900, peak) for peak in (0, 1500, 3000, 6000)]))]
    assert loudness == pytest.approx([0, 0.25, 0.5, 1], abs=0.05)


def test_a_pitch_is_as_near_across_the_end_of_the_range_as_within() -> None:
    assert pitch_distance(3500, 100) == 200
    assert pitch_distance(600, 900) == 300

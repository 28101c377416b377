"""Opus: a packet a tick, silence that is silent, speech that survives it."""

from __future__ import annotations

import numpy as np
import pytest

from opentalking.rtc.opus import OpusEncoder
from opentalking.types import PACKET_SAMPLES, PLAYBACK_RATE, Int16
from tests.unit.rtc.decoding import decode_sound


def voice_like(seconds: float) -> Int16:
    """Harmonics of a gliding 120 Hz tone, swelling as syllables do."""
    time = np.arange(int(seconds * PLAYBACK_RATE)) / PLAYBACK_RATE
    pitch = 2 * np.pi * (120 * time + 10 * np.sin(2 * np.pi * 0.7 * time))
    tone = np.sum([np.sin(n * pitch) / n for n in range(1, 12)], axis=0)
    swell = np.abs(np.sin(2 * np.pi * 2 * time))
    return np.asarray(6_000 * tone * swell, np.int16)


def packets_of(pcm: Int16) -> list[Int16]:
    return list(pcm.reshape(-1, PACKET_SAMPLES))


def likeness(sent: Int16, heard: Int16) -> float:
    """Highest normalised correlation within 30 ms of delay."""
    best = 0.0
    for delay in range(0, PLAYBACK_RATE * 30 // 1000, 6):
        part = heard[delay : delay + len(sent)].astype(np.float64)
        own = sent[: len(part)].astype(np.float64)
        best = max(best, float(own @ part / (np.linalg.norm(own) * np.linalg.norm(part) + 1e-9)))
    return best


@pytest.fixture
def encoder() -> OpusEncoder:
    return OpusEncoder(32_000)


def test_every_tick_gives_exactly_one_packet_of_20_ms(encoder: OpusEncoder) -> None:
    speech = packets_of(voice_like(1.0))
    for pcm in (*speech, *[None] * 30, *speech, None, *speech[:3]):
        assert decode_sound([encoder.encode(pcm)]).size == PACKET_SAMPLES


def test_speech_survives(encoder: OpusEncoder) -> None:
    speech = voice_like(2.0)
    heard = decode_sound(encoder.encode(pcm) for pcm in packets_of(speech))
    assert likeness(speech, heard) > 0.95


def test_silence_is_encoded_once_and_repeated(encoder: OpusEncoder) -> None:
    packets = [encoder.encode(None) for _ in range(50)]
    assert len({id(packet) for packet in packets[4:]}) == 1
    assert len(packets[-1]) <= 3


def test_repeated_silence_is_silent_after_speech_that_broke_off(encoder: OpusEncoder) -> None:
    speech = [encoder.encode(pcm) for pcm in packets_of(voice_like(0.4))]
    silence = [encoder.encode(None) for _ in range(100)]
    heard = decode_sound(speech + silence)
    assert len({id(packet) for packet in silence[20:]}) == 1 and len(silence[-1]) <= 3
    assert not heard[(len(speech) + 20) * PACKET_SAMPLES :].any()


def test_speech_after_repeated_silence_is_what_it_would_be_without(encoder: OpusEncoder) -> None:
    speech = voice_like(1.0)
    silence = [encoder.encode(None) for _ in range(150)]
    heard = decode_sound(silence + [encoder.encode(pcm) for pcm in packets_of(speech)])
    after = heard[150 * PACKET_SAMPLES :]
    assert likeness(speech, after) > 0.95
    beginning = speech[: 5 * PACKET_SAMPLES]
    assert likeness(beginning, after) > 0.9


def test_the_encoder_hears_what_was_silent_between_two_turns(encoder: OpusEncoder) -> None:
    speech = packets_of(voice_like(0.4))
    sent = [*speech, *[None] * 60, *speech]
    heard = decode_sound(encoder.encode(pcm) for pcm in sent)
    assert heard.size == len(sent) * PACKET_SAMPLES
    assert likeness(np.concatenate(speech), heard[(len(speech) + 60) * PACKET_SAMPLES :]) > 0.95


def test_more_bits_make_larger_packets() -> None:
    speech = packets_of(voice_like(0.5))

    def size(bitrate: int) -> int:
        encoder = OpusEncoder(bitrate)
        return sum(len(encoder.encode(pcm)) for pcm in speech)

    assert size(16_000) < size(64_000)

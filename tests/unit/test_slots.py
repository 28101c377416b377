"""The records that cross between processes: bytes out are the values that went in."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opentalking.slots import (
    MIC_BYTES,
    MIC_SLOT_BYTES,
    PCM_SLOT_BYTES,
    MicFlags,
    SlotFlags,
    SlotInfo,
    av_slot_bytes,
    av_views,
    pack_mic,
    pack_pcm,
    read_av_header,
    unpack_mic,
    unpack_pcm,
    write_av_header,
)
from opentalking.types import MODEL_SAMPLES, PLAYBACK_SAMPLES

WORD = st.integers(0, 2**32 - 1)
INFO = st.builds(SlotInfo, WORD, st.integers(0, 15).map(SlotFlags), WORD, st.integers(0, PLAYBACK_SAMPLES))
MODEL = np.arange(-320, 320, dtype=np.int16)
PLAYBACK = np.linspace(-32768, 32767, PLAYBACK_SAMPLES).astype(np.int16)


@given(info=INFO)
def test_a_pcm_slot_is_read_as_it_was_written(info: SlotInfo) -> None:
    buffer = memoryview(bytearray(PCM_SLOT_BYTES))
    assert pack_pcm(buffer, info, MODEL, PLAYBACK) == PCM_SLOT_BYTES
    read, model, playback = unpack_pcm(buffer)
    assert read == info
    assert np.array_equal(model, MODEL) and np.array_equal(playback, PLAYBACK)


@given(info=INFO, pose=WORD)
def test_an_av_slot_is_read_as_it_was_written(info: SlotInfo, pose: int) -> None:
    buffer = memoryview(bytearray(av_slot_bytes(32, 16)))
    views = av_views(buffer, 32, 16)
    picture = np.arange(24 * 32, dtype=np.uint16).astype(np.uint8).reshape(24, 32)
    views.frame[:], views.pcm[:] = picture, PLAYBACK
    write_av_header(buffer, info, pose)
    assert read_av_header(buffer) == (info, pose)
    again = av_views(buffer.toreadonly(), 32, 16)
    assert np.array_equal(again.frame, picture) and np.array_equal(again.pcm, PLAYBACK)


@given(
    utterance=st.integers(0, 2**64 - 1),
    flags=st.integers(0, 7).map(MicFlags),
    content=st.binary(max_size=200) | st.just(bytes(MIC_BYTES)),
)
def test_a_microphone_slot_is_read_as_it_was_written(utterance: int, flags: MicFlags, content: bytes) -> None:
    buffer = memoryview(bytearray(b"\xff" * MIC_SLOT_BYTES))
    used = pack_mic(buffer, utterance, flags, content)
    read = unpack_mic(buffer[:used])
    assert (read[0], read[1], bytes(read[2])) == (utterance, flags, content)


def test_more_than_a_microphone_slot_holds_is_refused() -> None:
    buffer = memoryview(bytearray(2 * MIC_SLOT_BYTES))
    with pytest.raises(ValueError, match="a microphone slot holds 4096 bytes, not 4097"):
        pack_mic(buffer, 1, MicFlags.NONE, bytes(4097))
    assert not any(buffer)


def test_the_layouts_are_those_the_module_draws() -> None:
    pcm = memoryview(bytearray(PCM_SLOT_BYTES))
    pack_pcm(pcm, SlotInfo(1, SlotFlags.TURN_END, 3, 4), MODEL, PLAYBACK)
    assert struct.unpack_from("<4I", pcm) == (1, 8, 3, 4)
    assert bytes(pcm[16:1296]) == MODEL.tobytes() and bytes(pcm[1296:]) == PLAYBACK.tobytes()
    av = memoryview(bytearray(av_slot_bytes(4, 2)))
    write_av_header(av, SlotInfo(1, SlotFlags.TURN_START, 3, 4), 5)
    views = av_views(av, 4, 2)
    views.pcm[:], views.frame[:] = PLAYBACK, 7
    assert struct.unpack_from("<8I", av) == (1, 1, 3, 4, 5, 0, 0, 0)
    assert bytes(av[32 : 32 + 3840]) == PLAYBACK.tobytes() and bytes(av[32 + 3840 :]) == bytes([7] * 12)
    assert len(av) == 32 + 3840 + 12
    mic = memoryview(bytearray(MIC_SLOT_BYTES))
    pack_mic(mic, 2**40, MicFlags.END, b"\x01\x02")
    assert struct.unpack_from("<Q2I", mic) == (2**40, 2, 0)
    assert bytes(mic[16:18]) == b"\x01\x02"


def test_what_is_read_are_views_and_no_copies() -> None:
    buffer = memoryview(bytearray(PCM_SLOT_BYTES))
    pack_pcm(buffer, SlotInfo(0, SlotFlags.NONE, 0, 0), MODEL, PLAYBACK)
    _, model, playback = unpack_pcm(buffer)
    buffer[16:18] = b"\x34\x12"
    buffer[-2:] = b"\x78\x56"
    assert (model[0], playback[-1]) == (0x1234, 0x5678)


@pytest.mark.parametrize(("model", "playback"), [(MODEL_SAMPLES - 1, PLAYBACK_SAMPLES), (MODEL_SAMPLES, 1), (0, 0)])
def test_sound_of_another_length_is_refused(model: int, playback: int) -> None:
    buffer = memoryview(bytearray(PCM_SLOT_BYTES))
    with pytest.raises(ValueError, match="a PCM slot holds 640 and 1920 samples"):
        pack_pcm(buffer, SlotInfo(0, SlotFlags.NONE, 0, 0), np.zeros(model, np.int16), np.zeros(playback, np.int16))
    assert not any(buffer)


@pytest.mark.parametrize(("width", "height"), [(15, 16), (16, 15), (0, 16), (16, -2)])
def test_pictures_that_have_no_i420_are_refused(width: int, height: int) -> None:
    with pytest.raises(ValueError, match=f"I420 needs even, positive sides, not {width}x{height}"):
        av_slot_bytes(width, height)


def test_a_buffer_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer is smaller"):
        av_views(memoryview(bytearray(av_slot_bytes(16, 16) - 1)), 16, 16)
    with pytest.raises(struct.error):
        read_av_header(memoryview(bytearray(31)))

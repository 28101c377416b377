"""The records that cross between processes, laid out over any writable buffer.

PCM slot (speech -> inference), 40 ms:

    | fragment u32 | flags u32 | sample u32 | samples u32 | 640 x s16 at 16 kHz | 1920 x s16 at 48 kHz |

AV slot (inference -> rtc), one frame and exactly what sounds while it is shown:

    | fragment u32 | flags u32 | sample u32 | samples u32 | pose u32 | 3 x u32 | 1920 x s16 at 48 kHz | I420 |

`sample` is the position of the slot's first sample within its fragment at 48 kHz, `samples` how many of the 1920 belong
to the fragment (the rest is padding). `pose` is the position in the avatar's idle loop that the picture's head pose
belongs to, so that idle video continues from it. Generation and sequence live in the ring's own slot header.

Microphone slot (api -> speech), up to 128 ms of one utterance; or, at its start, how it is wanted:

    | utterance u64 | flags u32 | u32 | up to 2048 x s16 at 16 kHz, or JSON |

An utterance is START, any number of slots of PCM, and END or ABORTED; how much of a slot is meant, the ring says. A
START in the middle of another utterance says that the sender of that one died.

Track slot (rtc -> speech), one packet of the browser's microphone:

    | track u64 | sample u64 | flags u32 | u32 | up to 640 x s16 at 16 kHz |

`track` is a number that no other connection has; START comes with its first packet, END (without samples) when it is
over. `sample` counts at 16 kHz since then: what did not find room in the ring shows as a gap. Its generation is 0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

import msgspec
import numpy as np

from opentalking.types import MODEL_SAMPLES, PLAYBACK_SAMPLES, Int16, UInt8, i420_shape

_PCM_HEADER = struct.Struct("<4I")
_AV_HEADER = struct.Struct("<8I")
_MIC_HEADER = struct.Struct("<Q2I")
_TRACK_HEADER = struct.Struct("<2Q2I")
TRACK_SAMPLES = 640  # at most in a slot: 40 ms
TRACK_SLOT_BYTES = _TRACK_HEADER.size + 2 * TRACK_SAMPLES
MIC_BYTES = 4096  # of content
MIC_SLOT_BYTES = _MIC_HEADER.size + MIC_BYTES
PCM_SLOT_BYTES = _PCM_HEADER.size + 2 * (MODEL_SAMPLES + PLAYBACK_SAMPLES)


class SlotFlags(IntFlag):
    """Where a slot stands in its turn."""

    NONE = 0
    TURN_START = 1
    FRAGMENT_START = 2
    FRAGMENT_END = 4
    TURN_END = 8


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """The header that PCM and AV slots share; samples are counted at 48 kHz."""

    fragment: int
    flags: SlotFlags
    sample: int
    samples: int


def av_slot_bytes(width: int, height: int) -> int:
    rows, columns = i420_shape(width, height)
    return _AV_HEADER.size + 2 * PLAYBACK_SAMPLES + rows * columns


def pack_pcm(buffer: memoryview, info: SlotInfo, model_pcm: Int16, playback_pcm: Int16) -> int:
    """Write a PCM slot; `model_pcm` int16 (640,), `playback_pcm` int16 (1920,). Returns the bytes used."""
    if model_pcm.shape != (MODEL_SAMPLES,) or playback_pcm.shape != (PLAYBACK_SAMPLES,):
        raise ValueError(f"a PCM slot holds {MODEL_SAMPLES} and {PLAYBACK_SAMPLES} samples")
    _PCM_HEADER.pack_into(buffer, 0, info.fragment, int(info.flags), info.sample, info.samples)
    samples = np.frombuffer(buffer, np.int16, MODEL_SAMPLES + PLAYBACK_SAMPLES, _PCM_HEADER.size)
    samples[:MODEL_SAMPLES] = model_pcm
    samples[MODEL_SAMPLES:] = playback_pcm
    return PCM_SLOT_BYTES


def unpack_pcm(buffer: memoryview) -> tuple[SlotInfo, Int16, Int16]:
    """Views of a PCM slot: info, model PCM (640,), playback PCM (1920,). They live as long as the slot is held."""
    fragment, flags, sample, count = _PCM_HEADER.unpack_from(buffer, 0)
    samples = np.frombuffer(buffer, np.int16, MODEL_SAMPLES + PLAYBACK_SAMPLES, _PCM_HEADER.size)
    return SlotInfo(fragment, SlotFlags(flags), sample, count), samples[:MODEL_SAMPLES], samples[MODEL_SAMPLES:]


@dataclass(frozen=True, slots=True)
class AVViews:
    """Writable or readable views into one AV slot: `pcm` int16 (1920,), `frame` uint8 I420 (height*3//2, width)."""

    pcm: Int16
    frame: UInt8


def av_views(buffer: memoryview, width: int, height: int) -> AVViews:
    rows, columns = i420_shape(width, height)
    pcm = np.frombuffer(buffer, np.int16, PLAYBACK_SAMPLES, _AV_HEADER.size)
    frame = np.frombuffer(buffer, np.uint8, rows * columns, _AV_HEADER.size + 2 * PLAYBACK_SAMPLES)
    return AVViews(pcm, frame.reshape(rows, columns))


def write_av_header(buffer: memoryview, info: SlotInfo, pose: int) -> None:
    _AV_HEADER.pack_into(buffer, 0, info.fragment, int(info.flags), info.sample, info.samples, pose, 0, 0, 0)


def read_av_header(buffer: memoryview) -> tuple[SlotInfo, int]:
    """The slot's info and its pose (frame index in the avatar's idle loop)."""
    fragment, flags, sample, count, pose, *_ = _AV_HEADER.unpack_from(buffer, 0)
    return SlotInfo(fragment, SlotFlags(flags), sample, count), pose


class MicFlags(IntFlag):
    """Where a microphone slot stands in its utterance."""

    NONE = 0
    START = 1
    END = 2
    ABORTED = 4


class Utterance(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an utterance is wanted: the content of its START slot. Without `turn`, it is recognised and no more."""

    turn: bool = True
    stt_provider: str = ""
    tts_provider: str = ""
    tts_voice: str = ""
    tts_model: str = ""


def reply_key(utterance: int) -> str:
    """Under which request the sender of an utterance gets its answer."""
    return f"mic-{utterance:016x}"


def pack_mic(buffer: memoryview, utterance: int, flags: MicFlags, content: bytes | memoryview = b"") -> int:
    """Write a microphone slot; at most MIC_BYTES of content. Returns the bytes used."""
    if len(content) > MIC_BYTES:
        raise ValueError(f"a microphone slot holds {MIC_BYTES} bytes, not {len(content)}")
    end = _MIC_HEADER.size + len(content)
    _MIC_HEADER.pack_into(buffer, 0, utterance, int(flags), 0)
    buffer[_MIC_HEADER.size : end] = content
    return end


def unpack_mic(buffer: memoryview) -> tuple[int, MicFlags, memoryview]:
    """Utterance, flags and a view of the content, of as much of a slot as is meant."""
    utterance, flags, _ = _MIC_HEADER.unpack_from(buffer, 0)
    return utterance, MicFlags(flags), buffer[_MIC_HEADER.size :]


@dataclass(frozen=True, slots=True)
class TrackPacket:
    """A piece of a browser's microphone: `pcm` int16 (samples,) at 16 kHz; the track's `sample`-th is its first."""

    track: int
    flags: MicFlags
    sample: int
    pcm: Int16


def pack_track(buffer: memoryview, packet: TrackPacket) -> int:
    """Write a track slot; at most TRACK_SAMPLES. Returns the bytes used."""
    if len(packet.pcm) > TRACK_SAMPLES:
        raise ValueError(f"a track slot holds {TRACK_SAMPLES} samples, not {len(packet.pcm)}")
    _TRACK_HEADER.pack_into(buffer, 0, packet.track, packet.sample, int(packet.flags), 0)
    end = _TRACK_HEADER.size + 2 * len(packet.pcm)
    buffer[_TRACK_HEADER.size : end] = packet.pcm.astype("<i2", copy=False).tobytes()
    return end


def unpack_track(buffer: memoryview) -> TrackPacket:
    """A packet whose `pcm` is a view of the slot, of as much of it as is meant."""
    track, sample, flags, _ = _TRACK_HEADER.unpack_from(buffer, 0)
    return TrackPacket(track, MicFlags(flags), sample, np.frombuffer(buffer, np.int16, -1, _TRACK_HEADER.size))

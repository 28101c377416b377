"""Speech for these tests: espeak-ng by ctypes, so that every phoneme's time is known."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import espeakng_loader
import numpy as np

from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, Int16

_SYNCHRONOUS, _PHONEME_EVENTS = 2, 1
_END, _PHONEME = 0, 7
_UTF8 = 1


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("phoneme", ctypes.c_char * 8),
    ]


@dataclass(frozen=True)
class Spoken:
    """`pcm` int16 at 16 kHz, whole chunks; `phonemes` (milliseconds of its start, name) in order."""

    pcm: Int16
    phonemes: list[tuple[int, str]]

    def chunks(self) -> list[AudioChunk]:
        return [AudioChunk(part, MODEL_RATE) for part in self.pcm.reshape(-1, MODEL_SAMPLES)]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@cache
def _library() -> tuple[ctypes.CDLL, int]:
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _PHONEME_EVENTS)
    assert rate > 0
    return library, rate


@cache
def speak(text: str, voice: str = "en-us") -> Spoken:
    library, rate = _library()
    pieces: list[Int16] = []
    phonemes: list[tuple[int, str]] = []

    def collect(samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _END:
            if events[index].type == _PHONEME:
                phonemes.append((events[index].audio_position, events[index].phoneme.decode()))
            index += 1
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    assert library.espeak_SetVoiceByName(voice.encode()) == 0
    encoded = text.encode()
    assert library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None) == 0
    pcm = np.concatenate(pieces)
    resampled = np.interp(np.arange(len(pcm) * MODEL_RATE // rate) * rate / MODEL_RATE, np.arange(len(pcm)), pcm)
    padded = np.zeros(-(-len(resampled) // MODEL_SAMPLES) * MODEL_SAMPLES, np.int16)
    padded[: len(resampled)] = resampled
    return Spoken(padded, phonemes)

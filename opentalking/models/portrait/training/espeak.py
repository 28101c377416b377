"""Labelled speech of espeak-ng: it reports each phoneme's place in the sound it makes.

One global per process, as in the speech adapter; this one asks for phoneme events, which the adapter has no use for.

The event of a voiceless stop comes with its burst, and the silence of its closure counts as the end of the sound
before (measured on f5: 30 to 40 ms; every other phoneme begins with its event). On the lips the closure is the stop, so
the stop gets it here.
"""

from __future__ import annotations

import ctypes
from itertools import pairwise

import espeakng_loader
import numpy as np

from opentalking.models.portrait.training.labelled import Labelled, Segment, labelled
from opentalking.models.portrait.training.phonemes import ipa_visemes
from opentalking.types import Float32, Int16

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEME_IPA = 1, 2
_EVENTS_END, _EVENT_PHONEME = 0, 7
_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER
_CLOSURE_SECONDS = 0.035
_VOICELESS_STOPS = ("p", "t", "k", "c", "q", "ʈ")
# Names that are espeak-ng's own instead of IPA, most of them in Mandarin: zh ch sh, the e of che, the aspirated stops.
_TO_IPA = (("s.", "ʂ"), ("o-", "ɤ"), ("nɡ", "ŋ"), ("ph", "p"), ("th", "t"), ("kh", "k"), ("ɕh", "ɕ"), ("ʂh", "ʂ"))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("phoneme", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def _library() -> tuple[ctypes.CDLL, int]:
    """Initialised anew each time: whoever else of this process did so last may have asked for no events."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    options = _PHONEME_EVENTS | _PHONEME_IPA
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), options)
    if rate <= 0:
        raise OSError("espeak-ng could not read its data files")
    return library, rate


def synthesise(
    text: str, voice: str, words_a_minute: int = 175, pitch: int = 50, pitch_range: int = 50
) -> tuple[Float32, int, list[tuple[float, str]]]:
    """Sound in -1..1, its rate in Hz, and each phoneme's start in seconds with its IPA name ("": a pause).

    `voice` is a language, perhaps with a variant: `en-us+f5`. Raises ValueError for one that espeak-ng does not have.
    """
    library, rate = _library()
    pieces: list[Int16] = []
    phonemes: list[tuple[float, str]] = []

    def collect(samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENTS_END:
            if events[index].type == _EVENT_PHONEME:
                name = events[index].phoneme.decode("utf-8", "ignore")
                if not name.startswith("("):  # the language changes: "(en)"
                    phonemes.append((events[index].audio_position / 1000, _ipa(name)))
            index += 1
        return 0

    callback = _Callback(collect)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice!r}")
    for parameter, value in ((_RATE, words_a_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
        library.espeak_SetParameter(parameter, value, 0)
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
    pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
    return (pcm / np.float32(32768)).astype(np.float32), rate, phonemes


def _ipa(name: str) -> str:
    for own, symbol in _TO_IPA:
        name = name.replace(own, symbol)
    return "j" if name == "ʲ" else name


def _with_closures(phonemes: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Phonemes by their starts, voiceless stops after another sound begun by their closure."""
    moved = phonemes[:1]
    for (before, sound), (start, name) in pairwise(phonemes):
        stops = sound and name.startswith(_VOICELESS_STOPS)
        moved.append((max(start - _CLOSURE_SECONDS, (before + start) / 2) if stops else start, name))
    return moved


def speak(text: str, voice: str, words_a_minute: int = 175, pitch: int = 50, pitch_range: int = 50) -> Labelled:
    samples, rate, phonemes = synthesise(text, voice, words_a_minute, pitch, pitch_range)
    timed = pairwise(_with_closures([*phonemes, (len(samples) / rate, "")]))
    segments = [Segment(start, end, ipa_visemes(name)) for (start, name), (end, _) in timed]
    return labelled(samples, rate, segments, f"espeak {voice}")

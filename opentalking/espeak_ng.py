"""espeak-ng by ctypes, for all who speak with it: the fallback voice, the training of the ear, and the tests.

It is GPL-3: nothing of it is imported or loaded before the first call, so only a process that speaks with it holds it.

It is one global per process. One lock lets one call through at a time, from the initialisation on: two threads that
initialised it at once crashed it. What an initialisation fixes (the buffer, what is told of phonemes) is not the same
for all, so whoever finds it fixed otherwise initialises it anew. Labelled speech always does, so that no pace or pitch
of others is left in it. Each time costs 0.15 ms and 2.7 kB that never come back (measured): nothing in a training, and
why the voice, which speaks for months, keeps what it finds.

The same calls from the start of a process make the same sound, to the bit, of variants that breathe (f2, f5) too: their
noise is seeded here, not with the clock. The same words later on differ by some samples.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import numpy as np

from opentalking.types import AudioChunk

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: sound goes to the callback, before espeak_Synth returns
_UTF8 = 1  # espeakCHARS_UTF8
_END_PAUSE = 0x1000  # espeakENDPAUSE
_EVENTS_END, _EVENT_PHONEME = 0, 7  # espeak_EVENT_TYPE
_OK = 0
_SEED = 1  # of the noise in voices that breathe


class Told(IntEnum):
    """What is told of the phonemes: espeakINITIALIZE_PHONEME_EVENTS and …_IPA."""

    NOTHING = 0
    OWN_NAMES = 1  # espeak-ng's own: aI, tS
    IPA = 3


class Parameter(IntEnum):
    """espeak_PARAMETER, as far as it is used here."""

    RATE = 1  # words a minute; 175 by default
    PITCH = 3  # 0..100; 50 by default
    PITCH_RANGE = 4  # 0..100; 50 by default


class PhonemeStart(NamedTuple):
    seconds: float
    name: str


class ListedVoice(NamedTuple):
    """`file`: by this name it is always found; by its language, most are."""

    language: str
    name: str
    file: str


class EspeakError(Exception):
    """espeak-ng cannot be loaded, or cannot speak; the message says why."""


class UnknownVoiceError(EspeakError, ValueError):
    """There is no such voice."""


Take = Callable[[AudioChunk, list[PhonemeStart]], bool]  # the next sound, perhaps none; False ends the speech


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


class _Voice(ctypes.Structure):
    """espeak_VOICE of speak_lib.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),  # a priority byte, then the language code
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Samples, _Events = ctypes.POINTER(ctypes.c_short), ctypes.POINTER(_Event)
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, _Samples, ctypes.c_int, _Events)


class _Library:
    """The one of this process, loaded at the first use. Belongs to who holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._fixed: tuple[int, Told] | None = None  # by the last initialisation
        self._rate = 0

    def initialised(self, buffer_ms: int, told: Told) -> tuple[ctypes.CDLL, int]:
        """(the library, its rate in Hz), fixed as is wanted. Raises EspeakError."""
        loaded, data_path = _loaded()
        if told or self._fixed != (buffer_ms, told):
            self._fixed = None
            self._rate = loaded.espeak_Initialize(_SYNCHRONOUS, buffer_ms, data_path, told)
            if self._rate <= 0:
                raise EspeakError("espeak-ng could not read its data files")
            loaded.espeak_ng_SetRandSeed(_SEED)  # it took the time of day
            self._fixed = buffer_ms, told
        return loaded, self._rate

    def as_it_is(self) -> ctypes.CDLL:
        """Initialised in any way. Raises EspeakError."""
        return _loaded()[0] if self._fixed else self.initialised(0, Told.NOTHING)[0]


_LIBRARY = _Library()


def speak(
    text: str,
    voice: str,
    take: Take,
    *,
    told: Told = Told.NOTHING,
    buffer_ms: int = 0,
    end_pause: bool = False,
    parameters: Mapping[Parameter, int] | None = None,
) -> int:
    """The text in a voice, on this thread, handed to `take` in pieces of `buffer_ms` (0: the library's own measure).

    Returns the rate in Hz. `voice` is a language, perhaps with a variant (`en-us+f5`), or a file of `listed_voices`.
    With `end_pause` a pause follows the sentence. Raises UnknownVoiceError, EspeakError, and whatever `take` does.
    """
    raised: list[BaseException] = []
    with _LIBRARY.lock:
        library, rate = _LIBRARY.initialised(buffer_ms, told)

        def hand_over(samples: ctypes._Pointer[ctypes.c_short], length: int, events: ctypes._Pointer[_Event]) -> int:
            sound = np.ctypeslib.as_array(samples, (length,)).copy() if samples and length else np.zeros(0, np.int16)
            try:
                return int(not take(AudioChunk(sound, rate), _starts(events) if told else []))
            except BaseException as error:  # ctypes would print it, and speak on
                raised.append(error)
                return 1

        callback = _Callback(hand_over)
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise UnknownVoiceError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in (parameters or {}).items():
            library.espeak_SetParameter(parameter, value, 0)
        spoken, flags = text.encode(), _UTF8 | (_END_PAUSE if end_pause else 0)
        ended = library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, flags, None, None)
    if raised:
        raise raised[0]
    if ended != _OK:
        raise EspeakError("espeak-ng could not speak the text")
    return rate


def listed_voices() -> list[ListedVoice]:
    """In espeak-ng's order. Raises EspeakError."""
    voices = []
    with _LIBRARY.lock:
        listed = _LIBRARY.as_it_is().espeak_ListVoices(None)
        for index in count():
            if not listed[index]:  # a null pointer ends the list
                break
            entry = listed[index].contents
            parts = (entry.languages[1:], entry.name, entry.identifier)
            language, name, file = (part.decode("utf-8", "replace") for part in parts)
            voices.append(ListedVoice(language, name.strip(), file))
    return voices


def _starts(events: ctypes._Pointer[_Event]) -> list[PhonemeStart]:
    starts = []
    for index in count():
        event = events[index]
        if event.type == _EVENTS_END:
            break
        if event.type == _EVENT_PHONEME:
            starts.append(PhonemeStart(event.audio_position / 1000, event.phoneme.decode("utf-8", "ignore")))
    return starts


@lru_cache(maxsize=1)
def _loaded() -> tuple[ctypes.CDLL, bytes]:
    """(the library, the folder of its data), not initialised."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise EspeakError("espeakng-loader is not installed: pip install 'opentalking[offline]'") from error
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_ng_SetRandSeed.restype = None
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_SetSynthCallback.argtypes = [_Callback]
    library.espeak_SetSynthCallback.restype = None
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    return library, espeakng_loader.get_data_path().encode()

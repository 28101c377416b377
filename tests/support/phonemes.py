"""Speech whose phonemes are known: espeak-ng, with an event for each, and what the jaw does meanwhile.

The jaw curve is of phonetics and not of any face: a class of openness for each phoneme, none for p, b, m and silence,
eased by a window of 100 ms as a jaw moves. Phonemes are named as espeak-ng names them; stress marks are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from opentalking import espeak_ng
from opentalking.espeak_ng import PhonemeStart, Told
from opentalking.types import AudioChunk

BILABIAL = frozenset("pbm")
JAW_STEP_S = 0.01
_EASE_STEPS = 11

_JAW: dict[str, tuple[float, ...]] = {  # openness; of a diphthong, at its beginning and end
    **dict.fromkeys(("a", "a#", "A:", "A@", "0", "aa", "O2"), (1.0,)),
    "aI": (1.0, 0.4),
    "aU": (1.0, 0.35),
    **dict.fromkeys(("V", "E", "e@", "e"), (0.75,)),
    **dict.fromkeys(("O:", "O@", "o@", "O", "3:"), (0.6,)),
    "OI": (0.6, 0.4),
    "oU": (0.6, 0.3),
    "eI": (0.6, 0.4),
    **dict.fromkeys(("I", "I2", "I#", "i", "i:", "i@", "i@3", "@", "@2", "@L", "@5", "3"), (0.4,)),
    **dict.fromkeys(("U", "u:", "u", "U@"), (0.3,)),
    **dict.fromkeys(("s", "z", "S", "Z", "tS", "dZ", "f", "v"), (0.1,)),
    **dict.fromkeys(("p", "b", "m", "_", "_:", "", "_|", "||"), (0.0,)),
}
_OTHER = (0.25,)  # t, d, n, l, k, g, r, w, j, h, th


@dataclass(frozen=True, slots=True)
class Phoneme:
    """Its name, and seconds from the beginning of the sound."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Phonetic:
    """`pcm` int16 (samples,) at `rate` Hz, and its phonemes in order."""

    pcm: NDArray[np.int16]
    rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def spoken(self) -> float:
        """Seconds to the end of the last phoneme that is no pause."""
        return max(phoneme.end for phoneme in self.phonemes if not phoneme.name.startswith("_"))

    def jaw(self) -> NDArray[np.float64]:
        """Openness 0..1 every JAW_STEP_S from the beginning."""
        curve = np.zeros(int(len(self.pcm) / self.rate / JAW_STEP_S) + 1)
        for phoneme in self.phonemes:
            span = slice(round(phoneme.start / JAW_STEP_S), round(phoneme.end / JAW_STEP_S))
            way = _JAW.get(phoneme.name, _OTHER)
            steps = len(curve[span])
            curve[span] = np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(way)), way) if len(way) > 1 else way
        ease = np.hanning(_EASE_STEPS + 2)
        return np.convolve(curve, ease / ease.sum(), "same")

    def bilabials(self) -> list[float]:
        """The middle of each p, b and m, in seconds."""
        return [(one.start + one.end) / 2 for one in self.phonemes if one.name in BILABIAL]


@cache
def pronounce(text: str, voice: str = "en-us", end_pause: bool = False) -> Phonetic:
    """One synthesis of `text`; with `end_pause` a pause follows the sentence, as the server's voice has it."""
    pieces: list[NDArray[np.int16]] = []
    starts: list[PhonemeStart] = []

    def collect(sound: AudioChunk, told: list[PhonemeStart]) -> bool:
        pieces.append(sound.data)
        starts.extend(told)
        return True

    rate = espeak_ng.speak(text, voice, collect, told=Told.OWN_NAMES, end_pause=end_pause)
    pcm = np.concatenate(pieces)
    ends = [start.seconds for start in starts[1:]] + [len(pcm) / rate]
    phonemes = tuple(
        Phoneme(start.name.lstrip("',%="), start.seconds, end) for start, end in zip(starts, ends, strict=True)
    )
    return Phonetic(pcm, rate, phonemes)
